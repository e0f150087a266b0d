// Every golden case through the library, for every implementation, driven by the case's own
// options.
#include "support/golden_methods.h"

#include <gtest/gtest.h>

#include "apps/attend_options.h"
#include "sparse/attend_files.h"

namespace sparsescope::testing {
namespace {

// The case's options, of which --dtype belongs to all commands.
AttendArguments parse_arguments(const GoldenMethod& golden, std::string& dtype) {
  CLI::App command;
  AttendArguments arguments;
  add_attend_options(command, arguments);
  command.add_option("--dtype", dtype);
  std::vector<std::string> args = golden.args;
  args.insert(args.end(), {"--inputs", golden.inputs.string(), "--out", "unused"});
  std::reverse(args.begin(), args.end());  // as CLI11 wants a vector
  command.parse(args);
  return arguments;
}

GoldenArrays arrays_of(const AttendResult& result) {
  GoldenArrays arrays;
  for (const NamedArray& output : result.outputs) {
    std::visit(
        [&](const auto& values) {
          arrays[output.name] = {std::holds_alternative<std::vector<uint8_t>>(output.values),
                                 output.shape,
                                 {values.begin(), values.end()}};
        },
        output.values);
  }
  return arrays;
}

class GoldenMethods : public ::testing::TestWithParam<std::string> {};

TEST_P(GoldenMethods, EveryImplementation) {
  const GoldenMethod golden = golden_method(GetParam());
  std::string dtype;
  const AttendArguments arguments = parse_arguments(golden, dtype);
  ASSERT_EQ(dtype, "fp32");
  const AttendFile file = read_attend_file(arguments.inputs, Dtype::kF32);
  const AttendFile stored = read_attend_file(arguments.inputs, std::nullopt);
  for (const Impl impl : available_impls()) {
    for (const int threads : {1, 3}) {
      ThreadPool pool(threads);
      const AttendResult result = attend(file.inputs, attend_request(arguments), impl, pool);
      golden.expect(arrays_of(result), std::string(impl_name(impl)));
      // fp16 is widened exactly
      golden.expect(arrays_of(attend(stored.inputs, attend_request(arguments), impl, pool)),
                    std::string(impl_name(impl)) + " as stored");
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Cases, GoldenMethods, ::testing::ValuesIn(golden_method_names()),
                         [](const auto& instance) { return instance.param; });

}  // namespace
}  // namespace sparsescope::testing
