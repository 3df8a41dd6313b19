#include "io/packets.hpp"

#include <cstring>
#include <stdexcept>

namespace orch {

namespace {

struct header {
  uint32_t what = 0;
  uint32_t size = 0; ///< of the text, in bytes
  uint64_t number = 0;
  uint64_t place = 0;
};

/// Far more than the longest message or answer.
constexpr uint32_t most_bytes = 1U << 30;

} // namespace

void append_packet(std::string& out, packet::kind what, uint64_t number, uint64_t place,
                   std::string_view text) {
  header head{static_cast<uint32_t>(what), static_cast<uint32_t>(text.size()), number, place};
  out.append(reinterpret_cast<const char*>(&head), sizeof head);
  out += text;
}

void packet_splitter::feed(std::string_view bytes, const std::function<void(packet)>& emit) {
  held_ += bytes;
  std::string_view rest = held_;
  header head;
  while (rest.size() >= sizeof head) {
    std::memcpy(&head, rest.data(), sizeof head);
    if (head.what > static_cast<uint32_t>(packet::kind::pong) || head.size > most_bytes)
      throw std::runtime_error{"what came over the socket is no packet"};
    if (rest.size() - sizeof head < head.size)
      break;
    emit({static_cast<packet::kind>(head.what), head.number, head.place,
          std::string{rest.substr(sizeof head, head.size)}});
    rest.remove_prefix(sizeof head + head.size);
  }
  held_.erase(0, held_.size() - rest.size());
}

} // namespace orch
