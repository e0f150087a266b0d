// The twin of wgmma, from the PTX manual. A product runs when it is waited for: only then are its
// shared memory and the registers of its left factor read. Until then its sums are NaN, and who
// touches them is found out.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <deque>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "arch/tensor_copy.cuh"
#include "emulator/engine.h"

namespace sparsescope::cuda {

enum class Major { kDepth, kColumn };

namespace twin {

inline constexpr int kGroupWarps = 4;
inline constexpr int kDepth = 16;  // of one product
inline constexpr uint32_t kPoisonBits = 0xffffffffu;

// The factor that a matrix descriptor means: a right one [N, 16], a left one [64, 16].
struct SharedFactor {
  uint32_t start, leading, stride;  // bytes
  Major major;

  SharedFactor(uint64_t descriptor, Major order) : major(order) {
    constexpr uint64_t kFields =
        0x3fffull | 0x3fffull << 16 | 0x3fffull << 32 | 7ull << 49 | 3ull << 62;
    const auto field = [descriptor](int bit) {
      return static_cast<uint32_t>(descriptor >> bit & 0x3fffu) << 4;
    };
    start = field(0);
    leading = field(16);
    stride = field(32);
    if ((descriptor & ~kFields) != 0) {
      throw emulator::Fault("emulator: a matrix descriptor has bits outside its fields");
    }
    if ((descriptor >> 62) != 1 || (descriptor >> 49 & 7) != 0) {
      throw emulator::Fault(
          "emulator: of matrix descriptors only those of the 128-byte swizzle "
          "without a base offset are known");
    }
  }

  // Canonical layouts, in elements of 16 bits: rows of 64, eight of them 64 apart, then
  //   depth   ((8, n), (8, 2)) : ((64, stride), (1, 8))
  //   column  ((64, n), (8, 2)) : ((1, leading), (64, stride))
  uint16_t element(int of_result, int k) const {
    const auto n = static_cast<uint32_t>(of_result), depth = static_cast<uint32_t>(k);
    const uint32_t offset = major == Major::kDepth ? n / 8 * stride + n % 8 * 128 + depth * 2
                                                   : n / 64 * leading + n % 64 * 2 +
                                                         depth / 8 * stride + depth % 8 * 128;
    uint16_t bits;
    std::memcpy(&bits, emulator::shared_pointer(swizzled_128(start + offset), sizeof bits),
                sizeof bits);
    return bits;
  }
};

// A product as one warp started it: [16, 16] times [16, columns].
struct WarpProduct {
  std::array<float*, emulator::kWarpSize> d;
  std::array<const uint32_t*, emulator::kWarpSize> a{};  // null: left says where
  std::array<uint64_t, emulator::kWarpSize> left{};
  std::array<bool, emulator::kWarpSize> accumulate;
  std::array<uint64_t, emulator::kWarpSize> b;
  int columns, warp_of_group;
  std::function<void(WarpProduct&)> run;
  std::vector<float> sums;  // what d held, where it was touched by no earlier product under way

  int registers() const { return columns / 2; }  // of d, per lane
  // Takes the sums away from the program, and gives them back.
  void hide() {
    for (float* registers_of_lane : d) {
      sums.insert(sums.end(), registers_of_lane, registers_of_lane + registers());
      std::memset(registers_of_lane, 0xff, registers() * sizeof(float));
    }
  }
  void restore() {
    for (int lane = 0; lane < emulator::kWarpSize && !sums.empty(); ++lane) {
      for (int i = 0; i < registers(); ++i) {
        if (std::bit_cast<uint32_t>(d[lane][i]) != kPoisonBits) {
          throw emulator::Fault(
              "emulator: sums of a product were written before it was waited for");
        }
        d[lane][i] = sums[lane * registers() + i];
      }
    }
    sums.clear();
  }
};

struct WarpProducts {
  std::deque<std::vector<WarpProduct>> groups;
  std::vector<WarpProduct> open;
  bool begun = false;
  uint64_t started = 0;  // since the block began

  bool under_way(const float* d) const {
    const auto uses = [d](const WarpProduct& product) { return product.d[0] == d; };
    for (const auto& group : groups) {
      if (std::any_of(group.begin(), group.end(), uses)) return true;
    }
    return std::any_of(open.begin(), open.end(), uses);
  }
  // Hides the sums of the products that are left, each once.
  void hide_again() {
    std::vector<const float*> seen;
    const auto hide = [&seen](WarpProduct& product) {
      if (std::find(seen.begin(), seen.end(), product.d[0]) != seen.end()) return;
      seen.push_back(product.d[0]);
      if (product.sums.empty()) product.hide();
    };
    for (auto& group : groups) std::for_each(group.begin(), group.end(), hide);
    std::for_each(open.begin(), open.end(), hide);
  }
};

inline WarpProducts& warp_products(int warp) {
  auto& state = emulator::warp_state(warp);
  if (!state) state = std::make_shared<WarpProducts>();
  return *static_cast<WarpProducts*>(state.get());
}
inline WarpProducts& warp_products() { return warp_products(emulator::self().warp()); }

template <typename Elem>
float value_of(uint32_t bits) {
  return static_cast<float>(std::bit_cast<Elem>(static_cast<uint16_t>(bits)));
}

using LeftRows = float[16][kDepth];  // of a warp

template <typename Elem>
void read_left_registers(const WarpProduct& product, LeftRows& a) {
  for (int lane = 0; lane < emulator::kWarpSize; ++lane) {
    for (int r = 0; r < 4; ++r) {
      const int row = lane / 4 + 8 * (r % 2), k = 2 * (lane % 4) + 8 * (r / 2);
      a[row][k] = value_of<Elem>(product.a[lane][r]);
      a[row][k + 1] = value_of<Elem>(product.a[lane][r] >> 16);
    }
  }
}

template <typename Elem, Major kMajor>
void read_left_shared(const WarpProduct& product, LeftRows& a) {
  const SharedFactor left(product.left[0], kMajor);
  for (int row = 0; row < 16; ++row) {
    for (int k = 0; k < kDepth; ++k) {
      a[row][k] = value_of<Elem>(left.element(16 * product.warp_of_group + row, k));
    }
  }
}

template <typename Elem, Major kMajor>
void multiply(WarpProduct& product, const LeftRows& a) {
  const SharedFactor right(product.b[0], kMajor);
  for (int column = 0; column < product.columns; ++column) {
    float b[kDepth];
    for (int k = 0; k < kDepth; ++k) b[k] = value_of<Elem>(right.element(column, k));
    for (int row = 0; row < 16; ++row) {
      const int lane = row % 8 * 4 + column % 8 / 2;
      float& d = product.d[lane][column / 8 * 4 + row / 8 * 2 + column % 2];
      float sum = product.accumulate[lane] ? d : 0.0f;
      for (int k = 0; k < kDepth; ++k) sum += a[row][k] * b[k];
      d = sum;
    }
  }
}

// All lanes of the warp, and what act makes of their common state.
inline void meet_for_products(const char* name, const std::function<void(WarpProducts&)>& act) {
  WarpProducts& products = warp_products();
  emulator::meet_in_warp(name, 0xffffffffu, &products, [&](void* const*) { act(products); });
}

// What a lane gives to a product.
struct ProductArgument {
  float* d;
  const uint32_t* a;
  uint64_t left, b;
  bool accumulate;
};

inline void start_in_warp(int octets, ProductArgument argument,
                          const std::function<void(WarpProduct&)>& run) {
  emulator::meet_in_warp("wgmma", 0xffffffffu, &argument, [&](void* const* arguments) {
    WarpProducts& products = warp_products();
    if (!products.begun) throw emulator::Fault("emulator: a product without begin_products");
    WarpProduct product;
    product.columns = 8 * octets;
    product.warp_of_group = emulator::self().warp() % kGroupWarps;
    product.run = run;
    for (int lane = 0; lane < emulator::kWarpSize; ++lane) {
      const auto* of_lane = static_cast<const ProductArgument*>(arguments[lane]);
      product.d[lane] = of_lane->d;
      product.a[lane] = of_lane->a;
      product.left[lane] = of_lane->left;
      product.b[lane] = of_lane->b;
      product.accumulate[lane] = of_lane->accumulate;
      if (of_lane->b != product.b[0] || of_lane->left != product.left[0] ||
          of_lane->accumulate != product.accumulate[0]) {
        throw emulator::Fault("emulator: lanes give a product different descriptors");
      }
    }
    if (!products.under_way(product.d[0])) product.hide();
    products.open.push_back(std::move(product));
    ++products.started;
  });
}

}  // namespace twin

template <typename... Registers>
void begin_products(Registers&...) {
  twin::meet_for_products("wgmma.fence",
                          [](twin::WarpProducts& products) { products.begun = true; });
}

template <typename Elem, Major kMajor, int kOctets>
void start_product(float (&d)[kOctets][4], const uint32_t (&a)[4], uint64_t b, bool accumulate) {
  twin::start_in_warp(kOctets, {&d[0][0], a, 0, b, accumulate}, [](twin::WarpProduct& product) {
    twin::LeftRows left;
    twin::read_left_registers<Elem>(product, left);
    twin::multiply<Elem, kMajor>(product, left);
  });
}

template <typename Elem, Major kLeftMajor, Major kRightMajor, int kOctets>
void start_product_shared(float (&d)[kOctets][4], uint64_t a, uint64_t b, bool accumulate) {
  twin::start_in_warp(kOctets, {&d[0][0], nullptr, a, b, accumulate},
                      [](twin::WarpProduct& product) {
                        twin::LeftRows left;
                        twin::read_left_shared<Elem, kLeftMajor>(product, left);
                        twin::multiply<Elem, kRightMajor>(product, left);
                      });
}

inline void end_products() {
  twin::meet_for_products("wgmma.commit_group", [](twin::WarpProducts& products) {
    products.groups.push_back(std::exchange(products.open, {}));
  });
}

template <int kGroupsLeft, typename... Registers>
void wait_for_products(Registers&...) {
  // The four warps of the group run a product together: each must have started it.
  const int warp = emulator::self().warp();
  const uint64_t started = twin::warp_products().started;
  const int first = warp / twin::kGroupWarps * twin::kGroupWarps;
  for (int other = first; other < first + twin::kGroupWarps; ++other) {
    emulator::wait_until("products of the other warps of its group", [other, started] {
      return twin::warp_products(other).started >= started;
    });
  }
  twin::meet_for_products("wgmma.wait_group", [](twin::WarpProducts& products) {
    while (static_cast<int>(products.groups.size()) > kGroupsLeft) {
      for (twin::WarpProduct& product : products.groups.front()) {
        product.restore();
        product.run(product);
      }
      products.groups.pop_front();
    }
    products.hide_again();
    products.begun = false;  // the program goes on with its registers
  });
}

}  // namespace sparsescope::cuda
