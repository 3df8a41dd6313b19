#include "actors/caf.hpp"

#include <caf/make_message.hpp>
#include <caf/sec.hpp>
#include <fmt/format.h>

namespace orch {

namespace {

const caf::atom_value our_category = caf::atom("orch");

} // namespace

caf::error to_caf_error(const request_error& e) {
  return caf::make_error(e.code,
                         error_detail{e.what(), e.data.is_null() ? std::string{} : e.data.dump()});
}

request_error from_caf_error(const caf::error& e) {
  if (e.category() == our_category && e.context().match_elements<error_detail>()) {
    const auto& detail = e.context().get_as<error_detail>(0);
    return {static_cast<errc>(e.code()), detail.message,
            detail.data.empty() ? json() : json::parse(detail.data)};
  }
  if (e == caf::sec::request_receiver_down)
    return {errc::unavailable, "the part of the server that answers this is restarting; try again"};
  return {errc::internal, fmt::format("internal error: {}", caf::to_string(e))};
}

request_error current_error() {
  try {
    throw;
  } catch (const request_error& e) {
    return e;
  } catch (const std::exception& e) {
    return {errc::internal, fmt::format("internal error: {}", e.what())};
  } catch (...) {
    return {errc::internal, "internal error"};
  }
}

} // namespace orch
