# Writes OUTPUT, a source with the commit that is built: `program_commit`. Runs with each build, and
# writes only if it has changed, so that nothing is compiled for nothing.
find_package(Git QUIET)
set(commit "")
if(Git_FOUND)
  execute_process(COMMAND "${GIT_EXECUTABLE}" -C "${SOURCE}" describe --always --dirty --exclude=*
    OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
endif()
set(text "#include \"messages/version.hpp\"\n\nnamespace orch {\n
std::string_view program_commit() {\n  return \"${commit}\";\n}\n\n} // namespace orch\n")
if(EXISTS "${OUTPUT}")
  file(READ "${OUTPUT}" before)
endif()
if(NOT "${before}" STREQUAL "${text}")
  file(WRITE "${OUTPUT}" "${text}")
endif()
