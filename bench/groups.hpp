#pragma once

#include "report.hpp"

namespace bench {

// The groups of measurements, in the order in which they run.

void measure_machine(report& to, const machine_limits& is);

/// What one client gets, with more and more requests in flight.
void measure_methods(report& to, const machine_limits& is);

/// Many servers that write to one repository.
void measure_processes(report& to, const machine_limits& is);

/// Many servers that a supervisor answers, beside as many that work by themselves.
void measure_bridges(report& to);

/// Time to the first answer, memory, and what an idle server costs.
void measure_startup(report& to);

/// What the same request costs on a small and on a large database.
void measure_growth(report& to);

/// What merge.conflicts.preview costs, beside asking git about each worktree.
void measure_previews(report& to);

} // namespace bench
