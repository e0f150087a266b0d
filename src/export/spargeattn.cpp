// spargeattn: the tuned dictionary of SpargeAttn as safetensors. A plan tells which heads run
// dense; the thresholds of the others belong to SpargeAttn's own selection and come from its tuner,
// or not at all. A dense head's thresholds are those of the tuner: 1, 1 and 20.
#include <algorithm>
#include <memory>

#include "checkpoint/safetensors.h"
#include "core/error.h"
#include "export/export_format.h"
#include "export/layer_module.h"
#include "export/site_values.h"

namespace sparsescope {
namespace {

const char* const kName = "spargeattn";

struct HeadThresholds {
  double dense = 0;  // of a dense head
  double low = 0, high = 0;
  const char* key = "";
};
constexpr HeadThresholds kThresholds[] = {
    {1.0, 0.0, 1.0, "cdfthreshd"}, {1.0, -1.0, 1.0, "simthreshd1"}, {20.0, 0.0, 50.0, "pvthreshd"}};

struct Dictionary {
  std::map<std::string, std::vector<uint8_t>> is_sparse;  // [heads]
  std::map<std::string, std::vector<float>> thresholds;   // [heads]
  bool operator==(const Dictionary&) const = default;
};

// is_sparse is a bool in the tuner's memory, floating once a model has loaded it.
std::vector<float> fetch_heads(const SafetensorsFile& file, const std::string& name,
                               int64_t heads) {
  const StoredTensor tensor = file.fetch(name);
  SPARSESCOPE_CHECK(ErrorKind::kData, tensor.shape == std::vector<int64_t>{heads},
                    "{}: {}: expected a value for each of {} heads", file.path().string(), name,
                    heads);
  if (tensor.dtype != Dtype::kBool) return to_float(tensor, name);
  const std::vector<int64_t> flags = to_int64(tensor, name);
  return {flags.begin(), flags.end()};
}

// Sparse at some step and dense at another: dense, the larger budget.
std::vector<uint8_t> sparse_heads(const Plan& plan, const PlanSites& sites, int64_t layer,
                                  std::vector<std::string>& changes) {
  std::vector<uint8_t> result;
  for (int64_t head = 0; head < plan.model.heads; ++head) {
    int64_t sparse_steps = 0;
    for (int64_t step = 0; step < plan.num_steps; ++step) {
      sparse_steps += sites.at(step, layer, head) != nullptr;
    }
    result.push_back(sparse_steps == plan.num_steps);
    if (sparse_steps > 0 && sparse_steps < plan.num_steps) {
      changes.push_back(fmt::format("layer {}, head {}: dense at {} of {} steps, becomes dense",
                                    layer, head, plan.num_steps - sparse_steps, plan.num_steps));
    }
  }
  return result;
}

// The tuner found no sparsity where the plan has some: dense.
void respect_tuner(const std::vector<float>& tuned, const std::string& module,
                   std::vector<uint8_t>& is_sparse, std::vector<std::string>& changes) {
  for (size_t head = 0; head < is_sparse.size(); ++head) {
    if (is_sparse[head] && tuned[head] == 0) {
      is_sparse[head] = 0;
      changes.push_back(
          fmt::format("{}: head {} is dense by its tuner, becomes dense", module, head));
    }
  }
}

Dictionary make_dictionary(const ExportInput& input, std::vector<std::string>& changes) {
  const Plan& plan = input.plan;
  const PlanSites sites(plan);
  const auto tuned =
      input.settings.thresholds.empty()
          ? nullptr
          : std::make_unique<SafetensorsFile>(SafetensorsFile::open(input.settings.thresholds));
  Dictionary dictionary;
  for (int64_t layer = 0; layer < plan.model.layers; ++layer) {
    const std::string module =
        layer_module(input, "blocks.{layer}.self_attn.inner_attention", layer, kName);
    std::vector<uint8_t> is_sparse = sparse_heads(plan, sites, layer, changes);
    const bool needs_tuner = std::count(is_sparse.begin(), is_sparse.end(), 1) > 0;
    SPARSESCOPE_CHECK(
        ErrorKind::kUsage, !needs_tuner || tuned,
        "{}: sparse heads need thresholds of SpargeAttn's own selection, which neither "
        "plan nor profile holds; --thresholds names a file of its tuner "
        "(safetensors with {}.cdfthreshd, ...)",
        kName, module);
    if (needs_tuner) {
      respect_tuner(fetch_heads(*tuned, module + ".is_sparse", plan.model.heads), module, is_sparse,
                    changes);
    }
    for (const HeadThresholds& threshold : kThresholds) {
      const std::string key = module + "." + threshold.key;
      std::vector<float> values(is_sparse.size(), static_cast<float>(threshold.dense));
      if (needs_tuner) {
        const std::vector<float> measured = fetch_heads(*tuned, key, plan.model.heads);
        for (size_t head = 0; head < values.size(); ++head) {
          if (!is_sparse[head]) continue;
          const auto value = static_cast<double>(measured[head]);
          SPARSESCOPE_CHECK(ErrorKind::kData, value >= threshold.low && value <= threshold.high,
                            "{}: {}: head {}: expected a number from {} to {}, found {}",
                            tuned->path().string(), key, head, threshold.low, threshold.high,
                            value);
          values[head] = measured[head];
        }
      }
      dictionary.thresholds[key] = std::move(values);
    }
    dictionary.thresholds[module + ".simthreshd2"].assign(is_sparse.size(), 0.0f);
    dictionary.is_sparse[module + ".is_sparse"] = std::move(is_sparse);
  }
  return dictionary;
}

void write_dictionary(const std::filesystem::path& path, const Dictionary& dictionary) {
  std::vector<TensorToWrite> tensors;
  for (const auto& [name, values] : dictionary.is_sparse) {
    tensors.push_back(
        {name, Dtype::kBool, {static_cast<int64_t>(values.size())}, bytes_of(values)});
  }
  for (const auto& [name, values] : dictionary.thresholds) {
    tensors.push_back({name, Dtype::kF32, {static_cast<int64_t>(values.size())}, bytes_of(values)});
  }
  write_safetensors(path, std::move(tensors), {}, true);
}

Dictionary read_dictionary(const std::filesystem::path& path) {
  const SafetensorsFile file = SafetensorsFile::open(path);
  Dictionary dictionary;
  for (const TensorInfo& tensor : file.tensors()) {
    const StoredTensor stored = file.fetch(tensor.name);
    if (stored.dtype != Dtype::kBool) {
      dictionary.thresholds[tensor.name] = to_float(stored, tensor.name);
      continue;
    }
    const std::vector<int64_t> flags = to_int64(stored, tensor.name);
    dictionary.is_sparse[tensor.name].assign(flags.begin(), flags.end());
  }
  return dictionary;
}

}  // namespace

ExportDraft draft_spargeattn(const ExportInput& input) {
  ExportDraft draft;
  const Dictionary dictionary = make_dictionary(input, draft.changes);
  draft.remarks = {
      "of the plan it holds which heads run dense; SpargeAttn selects by its own thresholds",
      "torch.save(safetensors.torch.load_file(THIS_FILE), \"<model>_<l1>_<pv_l1>.pt\") makes the "
      "file it loads"};
  draft.files.push_back(
      {input.out,
       [dictionary](const std::filesystem::path& path) { write_dictionary(path, dictionary); },
       [dictionary](const std::filesystem::path& path) {
         SPARSESCOPE_ASSERT(read_dictionary(path) == dictionary);
       }});
  return draft;
}

}  // namespace sparsescope
