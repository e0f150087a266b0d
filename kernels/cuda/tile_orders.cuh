// What the kernels of reduce_orders.h share, whoever sorts: how many scores BSA keeps, and their
// moments.
#pragma once

namespace sparsescope::cuda {

struct Moments {
  double mean = 0.0, m2 = 0.0, m3 = 0.0, m4 = 0.0;  // population

  // Sums of powers of what value is from the mean.
  __device__ void add(float value) {
    const double from_mean = value - mean, square = from_mean * from_mean;
    m2 += square;
    m3 += square * from_mean;
    m4 += square * square;
  }

  // Mean, deviation, skewness and excess kurtosis, in rows of results by channel. Rounding of the
  // mean must not give equal scores a deviation.
  __device__ void write(bool equal, double* out) const {
    const double deviation = equal ? 0.0 : sqrt(m2);
    const bool spread = deviation > 0.0;
    out[0] = mean;
    out[1] = deviation;
    out[2] = spread ? m3 / (m2 * deviation) : 0.0;
    out[3] = spread ? m4 / (m2 * m2) - 3.0 : 0.0;
  }
};

// How many of the scores BSA keeps at a cut-off: the best always. score_at(rank) descends.
template <typename ScoreAt>
__device__ inline int count_kept(int num_tiles, const Moments& moments, double cut,
                                 const ScoreAt& score_at) {
  if (score_at(0) == score_at(num_tiles - 1) || cut == -INFINITY) return num_tiles;
  const float threshold = __double2float_ru(moments.mean + sqrt(moments.m2) * cut);
  int low = 1, high = num_tiles;
  while (low < high) {
    const int middle = (low + high) / 2;
    if (score_at(middle) >= threshold) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

}  // namespace sparsescope::cuda
