#include "export/export_format.h"

#include <algorithm>

#include "core/error.h"

namespace sparsescope {

const std::vector<ExportFormat>& export_formats() {
  static const std::vector<ExportFormat> formats = {
      {"fastvideo-vmoba", "VMoBA JSON of FastVideo, with a moba_config copy that SGLang loads",
       "FastVideo, SGLang", "FastVideo main, read in its source; not run", draft_fastvideo_vmoba},
      {"sglang-vmoba", "the same file under SGLang's name", "SGLang, FastVideo",
       "SGLang main, read in source and documentation; not run end to end", draft_fastvideo_vmoba},
      {"fastvideo-vsa", "VSA settings of FastVideo: YAML of fastvideo generate", "FastVideo",
       "FastVideo main since 2026-07-04 (partial tiles count), read in its source; not run",
       draft_fastvideo_vsa},
      {"fastvideo-vsa-h3", "VSA of MiniMax-H3: flags, and a .py of generate_video's arguments",
       "FastVideo", "FastVideo main, read in its source; not run", draft_fastvideo_vsa_h3},
      {"sglang-vsa", "VSA settings: JSON of --attention-backend-config", "SGLang",
       "SGLang main, read in source and documentation; rounding as FastVideo's", draft_sglang_vsa},
      {"sglang-cube", "cube top-k of MiniMax-H3: a ratio per step", "SGLang",
       "SGLang main, read in source and documentation; not run", draft_sglang_cube},
      {"trtllm", "VSA settings: YAML of --visual_gen_args", "TensorRT-LLM VisualGen",
       "TensorRT-LLM main, read in source and documentation; rounding to tiles unknown",
       draft_trtllm},
      {"modelopt-vsa", "sparse_cfg with a ratio per layer: JSON, and a .py that defines it",
       "NVIDIA Model-Optimizer", "Model-Optimizer before PR 1315, read in its source; not run",
       draft_modelopt_vsa, true},
      {"modelopt-skip-softmax", "refused: profiles hold no tile-skip counts",
       "NVIDIA Model-Optimizer, TensorRT-LLM", "Model-Optimizer 0.37, read in its source",
       draft_modelopt_skip_softmax},
      {"sta", "mask strategy, a window per step, layer and head: JSON (needs --profile)",
       "FastVideo (STA), SGLang", "FastVideo branch sta_do_not_delete, read in its source; not run",
       draft_sta},
      {"lightx2v", "block top-k (SLA) of a run configuration: JSON", "LightX2V",
       "LightX2V main, read in its source; not run", draft_lightx2v},
      {"svoo", "least kept fraction per step, layer and head: CSV (needs --profile)", "SVOO",
       "SVOO main, read in its source and shipped files; not run", draft_svoo},
      {"spargeattn", "tuned dictionary: safetensors (sparse heads need --thresholds)", "SpargeAttn",
       "SpargeAttn main, read in its source; module paths of Wan's original code", draft_spargeattn,
       true},
      {"block-lists", "refused: they need q and k; attend --save-plan writes them",
       "kernels of FastVideo and others", "see attend", draft_block_lists},
  };
  return formats;
}

const ExportFormat& find_export_format(std::string_view name) {
  const std::vector<ExportFormat>& formats = export_formats();
  const auto found = std::find_if(formats.begin(), formats.end(),
                                  [&](const ExportFormat& format) { return format.name == name; });
  if (found != formats.end()) return *found;
  std::string names;
  for (const ExportFormat& format : formats) names += (names.empty() ? "" : ", ") + format.name;
  fail(ErrorKind::kUsage, "--to: expected one of {}, found '{}'", names, name);
}

}  // namespace sparsescope
