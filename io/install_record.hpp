#pragma once

// What was there before an installation, so that uninstalling gives back just that: whether an
// empty list was the user's or is left over from us cannot be seen any more.

#include "io/install_parts.hpp"

#include <map>

namespace orch {

/// Where the record is for a user.
std::filesystem::path record_file(const install_places& places);

class install_record {
public:
  /// The record in a file; an empty one if there is none or it is damaged, and then `problem` says
  /// how.
  explicit install_record(std::filesystem::path file);

  /// What was known of the file of a part; null if nothing is.
  const found_before* find(const install_part& part) const;

  /// Before `part` is put into a file: looks at the file as it is, unless it is as it was found.
  void remember(const install_part& part, const std::optional<std::string>& text);

  void forget(const install_part& part) { files_.erase(part.path.string()); }

  /// What has to become of the record's file.
  file_change change() const;

  const std::string& problem() const { return problem_; }

private:
  std::string keep() const;
  std::string text() const;

  std::filesystem::path file_;
  std::optional<std::string> before_;
  std::string problem_;
  std::string keep_;
  std::map<std::string, found_before> files_;
};

} // namespace orch
