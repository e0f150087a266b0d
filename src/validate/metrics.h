// How far two results lie apart: one definition each, sums in fp64. The reference (dense) comes
// first.
//
//   rel_l1   sum |o - o'| / sum |o|
//   rel_l2   norm(o - o') / norm(o)
//   cosine   <o, o'> / (norm(o) norm(o'))
//   psnr     10 log10(R^2 / mean (o - o')^2), +inf for equal inputs
//
// rel_l1 and rel_l2 are 0 where both sides are zero and infinite where only o is; cosine is 1 where
// both are zero and 0 where one is.
#pragma once

#include <span>

namespace sparsescope {

// Sums over parts of a tensor; parts may be added in any grouping.
class ErrorSums {
 public:
  void add(std::span<const float> reference, std::span<const float> other);
  void merge(const ErrorSums& part);
  double rel_l1() const;
  double rel_l2() const;
  double cosine() const;

 private:
  double abs_difference_ = 0, abs_reference_ = 0;
  double square_difference_ = 0, square_reference_ = 0, square_other_ = 0;
  double product_ = 0;
};

double rel_l2(std::span<const float> reference, std::span<const float> other);

// R is the range of the values. Error(kInternal) where the sizes differ.
double psnr(std::span<const float> reference, std::span<const float> other, double range);

// max - min
double value_range(std::span<const float> values);

}  // namespace sparsescope
