#pragma once

namespace bench {

enum class placement { anywhere, one_processor, two_processors };

/// How often a second a line goes to another process and back; 0 where that cannot be had.
double round_trip_rate(placement where, double seconds);

} // namespace bench
