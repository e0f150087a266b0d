#include "validate/prompt_part.h"

#include <array>

#include "core/error.h"
#include "stats/hashed_tensors.h"

namespace sparsescope {
namespace {

// The columns of the tables.
constexpr std::array kPlace = {&SiteResult::branch, &SiteResult::step, &SiteResult::layer,
                               &SiteResult::head};
constexpr std::array kValues = {&SiteResult::density, &SiteResult::recall, &SiteResult::rel_l1,
                                &SiteResult::rel_l2, &SiteResult::cosine};
constexpr std::array kTimes = {&AttentionTimes::dense_seconds, &AttentionTimes::sparse_seconds,
                               &AttentionTimes::selection_seconds};

Metadata identity_of(int64_t prompt, const std::string& fingerprint) {
  return {{"fingerprint", fingerprint}, {"prompt", std::to_string(prompt)}};
}

// [rows, columns], row by row
template <typename Value, typename Row, size_t kColumns>
std::vector<Value> table_of(const std::vector<Row>& rows,
                            const std::array<Value Row::*, kColumns>& columns) {
  std::vector<Value> table;
  table.reserve(rows.size() * kColumns);
  for (const Row& row : rows) {
    for (const auto column : columns) table.push_back(row.*column);
  }
  return table;
}

template <typename Value, typename Row, size_t kColumns>
void fill_from_table(std::vector<Row>& rows, const std::array<Value Row::*, kColumns>& columns,
                     const std::vector<Value>& table) {
  rows.resize(table.size() / kColumns);
  for (size_t i = 0; i < rows.size() * kColumns; ++i) {
    rows[i / kColumns].*columns[i % kColumns] = table[i];
  }
}

std::vector<double> numbers_of(const VideoQuality& quality) { return {quality.psnr, quality.ssim}; }

VideoQuality quality_of(const SafetensorsFile& file, const std::string& name) {
  const std::vector<double> numbers = values_of<double>(file.fetch(name));
  return {.psnr = numbers.at(0), .ssim = numbers.at(1)};
}

}  // namespace

std::string prompt_part_name(int64_t prompt) { return fmt::format("p{:04}.safetensors", prompt); }

void write_prompt_part(const std::filesystem::path& path, int64_t prompt,
                       const PromptOutcome& outcome, const std::string& fingerprint) {
  const std::vector<int64_t> place = table_of(outcome.sites, kPlace);
  const std::vector<double> values = table_of(outcome.sites, kValues);
  const std::vector<double> times = table_of(outcome.times, kTimes);
  const std::vector<double> latent = numbers_of(outcome.latent);
  const std::vector<double> pixel =
      outcome.pixel ? numbers_of(*outcome.pixel) : std::vector<double>{};
  const int64_t sites = std::ssize(outcome.sites);
  const int64_t forwards = std::ssize(outcome.times);
  std::vector<TensorToWrite> tensors = {
      {"sites/place", Dtype::kI64, {sites, std::ssize(kPlace)}, bytes_of(place)},
      {"sites/values", Dtype::kF64, {sites, std::ssize(kValues)}, bytes_of(values)},
      {"output_rel_l2", Dtype::kF64, {forwards}, bytes_of(outcome.output_rel_l2)},
      {"times", Dtype::kF64, {forwards, std::ssize(kTimes)}, bytes_of(times)},
      {"latent", Dtype::kF64, {2}, bytes_of(latent)}};
  const std::vector<double> moved = {outcome.latent_rel_l2};
  tensors.push_back({"latent_rel_l2", Dtype::kF64, {1}, bytes_of(moved)});
  if (outcome.pixel) tensors.push_back({"pixel", Dtype::kF64, {2}, bytes_of(pixel)});
  const auto add_list = [&](const char* name, const std::vector<double>& numbers) {
    if (numbers.empty()) return;
    tensors.push_back({name, Dtype::kF64, {std::ssize(numbers)}, bytes_of(numbers)});
  };
  add_list("layer_alone", outcome.layer_alone);
  add_list("step_alone", outcome.step_alone);
  const auto add_latents = [&](const char* name, const HostTensor& latents) {
    if (latents.values.empty()) return;
    tensors.push_back({name, Dtype::kF32, latents.shape, bytes_of(latents.values)});
  };
  add_latents(kDenseLatents, outcome.dense_latents);
  add_latents(kSparseLatents, outcome.sparse_latents);
  write_hashed_tensors(path, std::move(tensors), identity_of(prompt, fingerprint));
}

PromptOutcome read_prompt_part(const std::filesystem::path& path, int64_t prompt,
                               const std::string& fingerprint) {
  // Its hash says that the file is as it was written: its tensors need no further checks.
  const SafetensorsFile file = open_hashed_tensors(path, identity_of(prompt, fingerprint));
  PromptOutcome outcome;
  fill_from_table(outcome.sites, kPlace, values_of<int64_t>(file.fetch("sites/place")));
  fill_from_table(outcome.sites, kValues, values_of<double>(file.fetch("sites/values")));
  for (SiteResult& site : outcome.sites) site.prompt = prompt;
  outcome.output_rel_l2 = values_of<double>(file.fetch("output_rel_l2"));
  fill_from_table(outcome.times, kTimes, values_of<double>(file.fetch("times")));
  outcome.latent = quality_of(file, "latent");
  outcome.latent_rel_l2 = values_of<double>(file.fetch("latent_rel_l2")).at(0);
  if (file.find("pixel") != nullptr) outcome.pixel = quality_of(file, "pixel");
  const auto list = [&](const char* name) {
    return file.find(name) == nullptr ? std::vector<double>{} : values_of<double>(file.fetch(name));
  };
  outcome.layer_alone = list("layer_alone");
  outcome.step_alone = list("step_alone");
  return outcome;
}

}  // namespace sparsescope
