// trtllm: the YAML of TensorRT-LLM VisualGen (--visual_gen_args). Its models are strict, so the
// file holds nothing else. How the engine rounds the dropped fraction is unknown; the number
// written keeps top-k tiles by floor and by rounding, one more by ceiling.
#include "core/error.h"
#include "export/draft_file.h"
#include "export/flat_yaml.h"
#include "export/tile_counts.h"
#include "export/vsa_one_number.h"
#include "plan/json_place.h"

namespace sparsescope {
namespace {

double read_sparsity(const Json& yaml, const std::string& what) {
  const JsonPlace root(yaml, what);
  root.check_keys({"attention_config"});
  const JsonPlace attention = root.at("attention_config");
  attention.check_keys({"backend", "sparse_attention_config"});
  if (attention.at("backend").text() != "TRTLLM") attention.at("backend").fail_expected("TRTLLM");
  const JsonPlace sparse = attention.at("sparse_attention_config");
  sparse.check_keys({"algorithm", "vsa_sparsity"});
  if (sparse.at("algorithm").text() != "vsa") sparse.at("algorithm").fail_expected("vsa");
  return sparse.at("vsa_sparsity").number(0, 1);
}

}  // namespace

ExportDraft draft_trtllm(const ExportInput& input) {
  ExportDraft draft;
  const int64_t kept = one_top_k(input.plan, "trtllm", draft);
  check_tile(input.plan, {4, 4, 4}, "trtllm");
  const int64_t tiles = plan_tiles(input.plan);
  const double sparsity = dropped_for_any_rounding(kept, tiles);
  draft.remarks.push_back(
      fmt::format("the engine's rounding is unknown: it keeps {} tiles by floor, {} by ceiling",
                  kept_by_floor_of_dropped(sparsity, tiles), kept_by_ceil(sparsity, tiles)));
  draft.remarks.push_back("for models trained with VSA");

  const Json yaml = {
      {"attention_config",
       {{"backend", "TRTLLM"},
        {"sparse_attention_config", {{"algorithm", "vsa"}, {"vsa_sparsity", sparsity}}}}}};
  draft.files.push_back(text_file(
      input.out, to_flat_yaml(yaml, "TensorRT-LLM VisualGen: --visual_gen_args THIS_FILE"),
      [=](const std::string& text, const std::string& what) {
        const double read = read_sparsity(parse_flat_yaml(text, what), what);
        SPARSESCOPE_ASSERT(kept_by_floor_of_dropped(read, tiles) == kept &&
                           kept_by_ceil(read, tiles) >= kept);
      }));
  return draft;
}

}  // namespace sparsescope
