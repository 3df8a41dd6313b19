#include "io/packet_stream.hpp"
#include "io/repository_host.hpp"

#include <caf/actor_system.hpp>
#include <catch2/catch.hpp>
#include <sys/socket.h>

using namespace orch;

TEST_CASE("a packet stream tells its end when all is written", "[bridge]") {
  system_config settings;
  caf::actor_system system{settings};
  event_loop loop{system};
  int ends[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0);
  descriptor other{ends[1]};
  packet_stream stream{loop, descriptor{ends[0]}, [](const packet&) {}};
  // Far more than a socket takes at once.
  const std::string text(4U << 20, 'x');
  std::size_t received = 0;
  auto ended = false;
  stream.send(packet::kind::message, 1, 1, text);
  stream.send(packet::kind::end);
  stream.end_writing();
  CHECK(stream.unsent() > 0);
  loop.set_deadline(std::chrono::steady_clock::now() + std::chrono::minutes{1});
  loop.run([&] { return ended; },
           [&](bool) {
             stream.flush();
             std::string part(1U << 16, 0);
             for (auto count = ::read(other.number(), part.data(), part.size()); count >= 0;
                  count = ::read(other.number(), part.data(), part.size())) {
               received += static_cast<std::size_t>(count);
               ended = ended || count == 0;
               if (ended)
                 return;
             }
           });
  CHECK(ended);
  std::string all;
  append_packet(all, packet::kind::message, 1, 1, text);
  append_packet(all, packet::kind::end, 0, 0, {});
  CHECK(received == all.size());
  loop.close();
}
