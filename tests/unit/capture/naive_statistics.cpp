#include "unit/capture/naive_statistics.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <numeric>

#include "core/rng.h"

namespace sparsescope::naive {
namespace {

const std::vector<double> kGrid = {1. / 64, 1. / 32, 3. / 64, 1. / 16, 3. / 32, 1. / 8,
                                   3. / 16, 1. / 4,  3. / 8,  1. / 2,  3. / 4,  1.};

int64_t kept(double f, int64_t n) {
  return std::clamp<int64_t>(static_cast<int64_t>(std::ceil(f * static_cast<double>(n))), 1, n);
}

// Sum of the first K(f) values, for every f.
std::vector<double> covered(const std::vector<double>& ranked) {
  std::vector<double> sums;
  for (const double f : kGrid) {
    const int64_t count = kept(f, std::ssize(ranked));
    sums.push_back(std::accumulate(ranked.begin(), ranked.begin() + count, 0.0));
  }
  return sums;
}

void add(std::vector<double>& to, const std::vector<double>& from, double weight) {
  to.resize(from.size());
  for (size_t i = 0; i < from.size(); ++i) to[i] += weight * from[i];
}

std::array<int64_t, 3> place(const TokenGrid& grid, int64_t raster) {
  return {raster / (grid.h * grid.w), raster / grid.w % grid.h, raster % grid.w};
}

double dot(const float* a, const float* b, int64_t count) {
  double sum = 0;
  for (int64_t d = 0; d < count; ++d) sum += static_cast<double>(a[d]) * b[d];
  return sum;
}

}  // namespace

double Call::scale() const { return 1.0 / std::sqrt(static_cast<double>(head_dim)); }
const float* Call::query(int64_t head, int64_t token) const {
  return &q[(head * tokens() + token) * head_dim];
}
const float* Call::key(int64_t head, int64_t token) const {
  return &k[(head * tokens() + token) * head_dim];
}

Call make_call(const TokenGrid& grid, const TileShape& tile, int64_t prefix, int64_t suffix,
               int64_t heads, int64_t head_dim, uint64_t seed) {
  Call call{grid, tile, prefix, suffix, heads, head_dim, {}, {}, {}};
  const int64_t S = call.tokens();
  call.q.resize(heads * S * head_dim);
  call.k.resize(call.q.size());
  call.v.resize(call.q.size());
  uint64_t at = 0;
  for (int64_t h = 0; h < heads; ++h) {
    for (int64_t s = 0; s < S; ++s) {
      const auto p = place(grid, std::clamp<int64_t>(s - prefix, 0, grid.tokens() - 1));
      for (int64_t d = 0; d < head_dim; ++d, ++at) {
        const double frequency = 0.3 + 0.17 * static_cast<double>(d);
        const double wave = std::sin(frequency * static_cast<double>(p[d % 3]) + 0.4 * d);
        const double sink = s % 37 == 5 ? 1.0 : 0.0;
        call.q[at] = static_cast<float>(1.5 * wave + (0.6 + 0.3 * h) * normal(seed, at));
        call.k[at] = static_cast<float>(1.5 * wave + 0.6 * normal(seed + 1, at) + sink);
        call.v[at] = static_cast<float>(normal(seed + 2, at));
      }
    }
  }
  return call;
}

Matrix probabilities(const Call& call, int64_t head) {
  const int64_t S = call.tokens();
  Matrix probs(call.grid.tokens(), std::vector<double>(S));
  for (int64_t r = 0; r < call.grid.tokens(); ++r) {
    double top = -1e300, sum = 0;
    for (int64_t c = 0; c < S; ++c) {
      probs[r][c] =
          call.scale() * dot(call.query(head, call.prefix + r), call.key(head, c), call.head_dim);
      top = std::max(top, probs[r][c]);
    }
    for (double& p : probs[r]) sum += p = std::exp(p - top);
    for (double& p : probs[r]) p /= sum;
  }
  return probs;
}

TileFacts tile_facts(const Call& call, int64_t head, const Matrix& probs) {
  const TileGrid tiles(call.grid, call.tile);
  const int64_t N = tiles.num_tiles(), S = call.grid.tokens(), D = call.head_dim;
  TileFacts facts;
  facts.size.resize(N);
  facts.row_mass.assign(S, std::vector<double>(N));
  facts.mass.assign(N, std::vector<double>(N));
  facts.score.assign(N, std::vector<double>(N));
  Matrix q_mean(N, std::vector<double>(D)), k_mean(N, std::vector<double>(D));
  for (int64_t r = 0; r < S; ++r) {
    facts.tile_of.push_back(tiles.tile_of_token(r));
    facts.size[facts.tile_of[r]] += 1;
  }
  for (int64_t r = 0; r < S; ++r) {
    const int64_t i = facts.tile_of[r];
    for (int64_t c = 0; c < S; ++c) {
      const double p = probs[r][call.prefix + c];
      facts.row_mass[r][facts.tile_of[c]] += p;
      facts.mass[i][facts.tile_of[c]] += p / facts.size[i];
    }
    for (int64_t d = 0; d < D; ++d) {
      q_mean[i][d] += call.query(head, call.prefix + r)[d] / facts.size[i];
      k_mean[i][d] += call.key(head, call.prefix + r)[d] / facts.size[i];
    }
  }
  for (int64_t i = 0; i < N; ++i) {
    for (int64_t j = 0; j < N; ++j) {
      for (int64_t d = 0; d < D; ++d) {
        facts.score[i][j] += call.scale() * q_mean[i][d] * k_mean[j][d];
      }
    }
  }
  return facts;
}

std::vector<double> coverage_row(const TileFacts& facts) {
  std::vector<double> mean;
  for (std::vector<double> row : facts.row_mass) {
    std::sort(row.rbegin(), row.rend());
    add(mean, covered(row), 1.0 / static_cast<double>(facts.row_mass.size()));
  }
  return mean;
}

std::vector<double> coverage_tile(const TileFacts& facts) {
  std::vector<double> mean;
  for (size_t i = 0; i < facts.mass.size(); ++i) {
    std::vector<double> row = facts.mass[i];
    std::sort(row.rbegin(), row.rend());
    add(mean, covered(row), facts.size[i] / static_cast<double>(facts.row_mass.size()));
  }
  return mean;
}

std::vector<double> coverage_pooled(const TileFacts& facts) {
  std::vector<double> mean;
  for (size_t i = 0; i < facts.mass.size(); ++i) {
    std::vector<int64_t> order(facts.mass.size());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(),
                     [&](int64_t a, int64_t b) { return facts.score[i][a] > facts.score[i][b]; });
    std::vector<double> ranked;
    for (const int64_t j : order) ranked.push_back(facts.mass[i][j]);
    add(mean, covered(ranked), facts.size[i] / static_cast<double>(facts.row_mass.size()));
  }
  return mean;
}

std::vector<double> key_mass(const TileFacts& facts) {
  std::vector<double> mean;
  for (size_t i = 0; i < facts.mass.size(); ++i) {
    add(mean, facts.mass[i], facts.size[i] / static_cast<double>(facts.row_mass.size()));
  }
  return mean;
}

double row_overlap(const TileFacts& facts) {
  double sum = 0;
  for (size_t r = 0; r < facts.row_mass.size(); ++r) {
    double distance = 0;
    for (size_t j = 0; j < facts.mass.size(); ++j) {
      distance += std::abs(facts.row_mass[r][j] - facts.mass[facts.tile_of[r]][j]);
    }
    sum += 1 - 0.5 * distance;
  }
  return sum / static_cast<double>(facts.row_mass.size());
}

namespace {

struct Moments {
  double mean = 0, deviation = 0, skewness = 0, kurtosis = 0;
};

Moments moments_of(const std::vector<double>& row) {
  Moments m;
  const auto n = static_cast<double>(row.size());
  for (const double z : row) m.mean += z / n;
  double second = 0, third = 0, fourth = 0;
  for (const double z : row) {
    second += std::pow(z - m.mean, 2) / n;
    third += std::pow(z - m.mean, 3) / n;
    fourth += std::pow(z - m.mean, 4) / n;
  }
  m.deviation = std::sqrt(second);
  if (second > 1e-24) {
    m.skewness = third / std::pow(second, 1.5);
    m.kurtosis = fourth / (second * second) - 3;
  }
  return m;
}

// Phi^-1(1 - kappa), from tables of the normal distribution; kappa 1 is treated apart.
const std::vector<double> kCuts = {2.1538746940614564, 1.8627318674216511,
                                   1.6759397227734438, 1.5341205443525463,
                                   1.3180108973035372, 1.1503493803760083,
                                   0.8871465590188759, 0.6744897501960817,
                                   0.3186393639643752, 0.0,
                                   -0.6744897501960817};

}  // namespace

std::vector<double> score_moments(const TileFacts& facts) {
  std::vector<double> mean(4);
  for (const auto& row : facts.score) {
    const Moments m = moments_of(row);
    add(mean, {m.mean, m.deviation, m.skewness, m.kurtosis},
        1.0 / static_cast<double>(facts.score.size()));
  }
  return mean;
}

void bsa_curves(const TileFacts& facts, std::vector<double>& density, std::vector<double>& recall) {
  const auto S = static_cast<double>(facts.row_mass.size());
  density.assign(kGrid.size(), 0);
  recall.assign(kGrid.size(), 0);
  for (size_t i = 0; i < facts.mass.size(); ++i) {
    const auto& row = facts.score[i];
    const auto best = std::max_element(row.begin(), row.end()) - row.begin();
    const bool constant = row[best] == *std::min_element(row.begin(), row.end());
    const Moments m = moments_of(row);
    for (size_t kappa = 0; kappa < kGrid.size(); ++kappa) {
      const bool all = constant || kappa == kCuts.size();
      for (size_t j = 0; j < row.size(); ++j) {
        const bool keep =
            all || static_cast<int64_t>(j) == best || row[j] >= m.mean + m.deviation * kCuts[kappa];
        if (!keep) continue;
        density[kappa] += facts.size[i] * facts.size[j] / (S * S);
        recall[kappa] += facts.size[i] * facts.mass[i][j] / S;
      }
    }
  }
}

std::vector<double> distance_mass(const Call& call, const Matrix& probs, int axis) {
  const std::array<int64_t, 3> extents{call.grid.t, call.grid.h, call.grid.w};
  std::vector<double> mass(extents[axis]);
  for (size_t r = 0; r < probs.size(); ++r) {
    for (int64_t c = 0; c < call.grid.tokens(); ++c) {
      const int64_t distance =
          std::abs(place(call.grid, static_cast<int64_t>(r))[axis] - place(call.grid, c)[axis]);
      mass[distance] += probs[r][call.prefix + c] / static_cast<double>(probs.size());
    }
  }
  return mass;
}

std::vector<double> frame_mass(const Call& call, const Matrix& probs) {
  const int64_t T = call.grid.t, per_frame = call.grid.h * call.grid.w;
  std::vector<double> mass(T * T);
  for (size_t r = 0; r < probs.size(); ++r) {
    for (int64_t c = 0; c < call.grid.tokens(); ++c) {
      mass[static_cast<int64_t>(r) / per_frame * T + c / per_frame] +=
          probs[r][call.prefix + c] / static_cast<double>(per_frame);
    }
  }
  return mass;
}

double entropy(const Matrix& probs) {
  double sum = 0;
  for (const auto& row : probs) {
    for (const double p : row) sum -= p > 0 ? p * std::log(p) : 0;
  }
  return sum / static_cast<double>(probs.size());
}

double text_mass(const Call& call, const Matrix& probs) {
  double sum = 0;
  for (const auto& row : probs) {
    for (int64_t c = 0; c < call.tokens(); ++c) {
      if (c < call.prefix || c >= call.prefix + call.grid.tokens()) sum += row[c];
    }
  }
  return sum / static_cast<double>(probs.size());
}

namespace {

double cosine_of(const Call& call, int64_t head, int64_t token, int64_t other) {
  const float* a = call.query(head, call.prefix + token);
  const float* b = call.query(head, call.prefix + other);
  return dot(a, b, call.head_dim) / std::max(std::sqrt(dot(a, a, call.head_dim)), 1e-12) /
         std::max(std::sqrt(dot(b, b, call.head_dim)), 1e-12);
}

}  // namespace

std::vector<double> query_cosine(const Call& call, int64_t head) {
  const TileGrid tiles(call.grid, call.tile);
  std::vector<double> counts(64);
  for (int64_t tile = 0; tile < tiles.num_tiles(); ++tile) {
    const Box box = tiles.box(tile);
    const int64_t centre =
        call.grid.raster(box.t0 + box.t / 2, box.h0 + box.h / 2, box.w0 + box.w / 2);
    for (const int32_t token : tiles.tokens_of(tile)) {
      if (token == centre) continue;
      const double cosine = cosine_of(call, head, token, centre);
      ++counts[std::clamp<int64_t>(static_cast<int64_t>(std::floor((cosine + 1) * 32)), 0, 63)];
    }
  }
  return counts;
}

std::vector<double> offset_mass(const Call& call, const Matrix& probs) {
  const TileGrid tiles(call.grid, call.tile);
  std::vector<double> mass(tiles.num_tiles());
  const auto offset = [&](int64_t r, int64_t c, int axis, int64_t extent) {
    return std::abs(place(call.grid, r)[axis] / extent - place(call.grid, c)[axis] / extent);
  };
  for (int64_t r = 0; r < call.grid.tokens(); ++r) {
    for (int64_t c = 0; c < call.grid.tokens(); ++c) {
      const int64_t dt = offset(r, c, 0, call.tile.t), dh = offset(r, c, 1, call.tile.h),
                    dw = offset(r, c, 2, call.tile.w);
      mass[(dt * tiles.tiles_h() + dh) * tiles.tiles_w() + dw] +=
          probs[r][call.prefix + c] / static_cast<double>(probs.size());
    }
  }
  return mass;
}

// A token's window starts at its own coordinate less what that exceeds a whole number of windows
// by, counted from the tile's corner; it ends with the window, the tile or the grid.
double window_cosine(const Call& call, int64_t head, const TileShape& window) {
  const std::array<int64_t, 3> extents{window.t, window.h, window.w},
      tile{call.tile.t, call.tile.h, call.tile.w}, grid{call.grid.t, call.grid.h, call.grid.w};
  double sum = 0, rows = 0;
  for (int64_t token = 0; token < call.grid.tokens(); ++token) {
    std::array<int64_t, 3> centre = place(call.grid, token);
    for (int axis = 0; axis < 3; ++axis) {
      const int64_t corner = centre[axis] / tile[axis] * tile[axis];
      const int64_t first = centre[axis] - (centre[axis] - corner) % extents[axis];
      const int64_t end = std::min({first + extents[axis], corner + tile[axis], grid[axis]});
      centre[axis] = first + (end - first) / 2;
    }
    const int64_t other = call.grid.raster(centre[0], centre[1], centre[2]);
    if (other == token) continue;
    sum += cosine_of(call, head, token, other);
    rows += 1;
  }
  return sum / rows;
}

}  // namespace sparsescope::naive
