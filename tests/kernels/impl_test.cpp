// Which implementation runs, and that the forced one is the one that does.
#include "kernels/impl.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>

#include "core/error.h"
#include "kernels/cpu/block_kernels.h"
#include "kernels/kernel_table.h"

namespace sparsescope {
namespace {

using ::testing::HasSubstr;

// Sets SPARSESCOPE_ISA for one test.
class ForcedIsa {
 public:
  explicit ForcedIsa(const char* isa) {
    const char* old = std::getenv("SPARSESCOPE_ISA");
    if (old != nullptr) old_ = old;
    setenv("SPARSESCOPE_ISA", isa, 1);
  }
  ~ForcedIsa() {
    if (old_.empty()) {
      unsetenv("SPARSESCOPE_ISA");
    } else {
      setenv("SPARSESCOPE_ISA", old_.c_str(), 1);
    }
  }

 private:
  std::string old_;
};

const cpu::BlockKernels& block_kernels(Impl impl) {
  if (impl == Impl::kCpuAvx512) return cpu::avx512_block_kernels();
  return impl == Impl::kCpuAvx2 ? cpu::avx2_block_kernels() : cpu::base_block_kernels();
}

// What the flags of the object file say that the implementation computes with.
std::string compiled_isa(Impl impl) {
  if (impl == Impl::kCpuAvx512Bf16) return cpu::avx512bf16_pair_kernels().isa;
  return block_kernels(impl).isa;
}

TEST(Impl, ReferenceAndBaseAreAlwaysThere) {
  const std::vector<Impl> impls = available_impls();
  ASSERT_GE(impls.size(), 2u);
  EXPECT_EQ(impls[0], Impl::kReference);
  EXPECT_EQ(impls[1], Impl::kCpuBase);
}

TEST(Impl, ForcingTakesEffect) {
  for (const Impl impl : available_impls()) {
    if (impl == Impl::kReference) continue;
    const std::string isa(impl_name(impl).substr(4));
    const ForcedIsa forced(isa.c_str());
    ASSERT_EQ(default_cpu_impl(), impl);
    // The name comes from the compiler's flags of the object file: the body itself says what it is.
    EXPECT_EQ(compiled_isa(default_cpu_impl()), isa);
  }
}

// The object files differ in what they compute, too: the SSE2 body has no fused multiply-add.
TEST(Impl, BodiesAreDifferentCode) {
  const std::vector<Impl> impls = available_impls();
  if (impls.size() < 3) GTEST_SKIP() << "only the base body runs here";
  for (size_t i = 2; i < impls.size(); ++i) {
    // the bf16 one differs in its pair kernels
    if (impls[i] != Impl::kCpuAvx512Bf16) {
      EXPECT_NE(block_kernels(impls[i]).attend.plain, block_kernels(impls[i - 1]).attend.plain);
    }
    EXPECT_NE(attention_kernels(impls[i]).dense, attention_kernels(impls[i - 1]).dense);
  }
}

TEST(Impl, UnknownNameIsAnError) {
  for (const char* name : {"avx", "AVX2", "reference", "base ", "avx512vnni"}) {
    const ForcedIsa forced(name);
    try {
      default_cpu_impl();
      FAIL() << name << " was accepted";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kUsage);
      EXPECT_THAT(error.what(), HasSubstr(name));
      EXPECT_THAT(error.what(), HasSubstr("base, avx2, avx512 or avx512bf16"));
    }
  }
}

TEST(Impl, WithoutTheVariableTheFastestRuns) {
  const ForcedIsa forced("");
  EXPECT_EQ(default_cpu_impl(), available_impls().back());
}

TEST(Impl, IsaThatTheMachineLacksIsAnError) {
  const std::vector<Impl> impls = available_impls();
  for (const Impl impl : {Impl::kCpuAvx2, Impl::kCpuAvx512, Impl::kCpuAvx512Bf16}) {
    if (std::find(impls.begin(), impls.end(), impl) != impls.end()) continue;
    const ForcedIsa forced(impl_name(impl).substr(4).data());
    EXPECT_THROW(default_cpu_impl(), Error);
    EXPECT_THROW(attention_kernels(impl), Error);
  }
}

}  // namespace
}  // namespace sparsescope
