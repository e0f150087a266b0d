// Error against density and time, of the three methods side by side: derived plans and the plans to
// compare them with, tried on the same held-out prompts.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "core/progress.h"
#include "stats/intervals.h"
#include "tune/tune.h"

namespace sparsescope {

struct SweepPoint {
  Method method = Method::kVsa;
  std::string kind;    // "derived", or a baseline's name
  double asked = 0.0;  // density
  PlanTrial trial;     // on the held-out prompts
  Interval interval;   // of the mean error over prompts
  bool knee = false;   // of its method's derived plans: furthest below their chord
};

struct SweepResult {
  std::vector<SweepPoint> points;  // by method, kind, density
  std::vector<std::string> notes;  // plans that cannot be had, and why
};

// request: its target and method do not matter; out is the table as JSON, and finished parts stand
// beside it until then.
SweepResult sweep(const TuneRequest& request, const std::vector<double>& densities,
                  const RunMonitor& monitor);

Json sweep_to_json(const SweepResult& result);

// The point of a falling curve that lies furthest below the straight line between its ends, both
// axes scaled to 0 .. 1 (Satopaa et al. 2011); -1 below three points. x ascends.
int64_t knee_of(std::span<const double> x, std::span<const double> y);

}  // namespace sparsescope
