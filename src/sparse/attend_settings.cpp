#include "sparse/attend_settings.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include "core/error.h"
#include "core/parse_numbers.h"
#include "sparse/top_k.h"

namespace sparsescope {
namespace {

constexpr std::array kOptions = {
    MethodOption{"--mass-block", "dense", false,
                 "T,H,W: also writes the mass on tiles of this shape"},
    MethodOption{"--block", "vsa bsa", false, "T,H,W of a tile (4,4,4)"},
    MethodOption{"--sparsity", "vsa", false, "Fraction of the key tiles that is skipped"},
    MethodOption{"--rounding", "vsa", false,
                 "Arithmetic of the selection: exact, or fastvideo with bf16 scores (exact)"},
    MethodOption{"--top-k", "vsa vmoba", false,
                 "Key tiles of a query tile, or blocks of a query, its own included"},
    MethodOption{"--partition", "vmoba", false, "temporal:2, spatial:3,4 or st:4,6,4"},
    MethodOption{"--select", "vmoba", false, "topk or threshold (topk)"},
    MethodOption{"--threshold", "vmoba", false, "tau: share of the pool's gates that is kept"},
    MethodOption{"--pool", "vmoba", false,
                 "query_head, head_global, block or overall (query_head)"},
    MethodOption{"--compat", "vmoba", true, "Edge cases as in the public code"},
    MethodOption{"--query-keep", "bsa", false, "Fraction of the queries that is computed (0.5)"},
    MethodOption{"--query-window", "bsa", false, "T,H,W with a quota of its own, or none (2,2,2)"},
    MethodOption{"--centre", "bsa", false,
                 "Reference query: T,H,W in a full tile, auto, window_first or window_last (auto)"},
    MethodOption{"--kv-rule", "bsa", false,
                 "gauss_logit, gauss_prob, gauss_logit_head, cdf or topk (gauss_logit)"},
    MethodOption{"--kv-keep", "bsa", false, "Fraction of the key tiles that is kept (0.1)"},
    MethodOption{"--kv-mass", "bsa", false, "Probability that rule cdf keeps (0.9)"},
    MethodOption{"--min-blocks", "bsa", false, "Best key tiles that every list holds (4)"},
    MethodOption{"--restore", "bsa", false,
                 "Output of pruned queries: similar, centre, nearest or zero (similar)"},
    MethodOption{"--preset", "bsa", false, "default or fastvideo; other options override it"},
};

// The texts of one method's options.
class Reader {
 public:
  explicit Reader(const OptionTexts& texts) : texts_(texts) {}

  bool has(std::string_view name) const { return texts_.contains(name); }
  const std::string& text(std::string_view name) const { return texts_.find(name)->second; }

  // The value named, or otherwise where the option is not given.
  template <typename Value>
  Value choice(std::string_view name, Value otherwise,
               std::initializer_list<std::pair<std::string_view, Value>> values) const {
    if (!has(name)) return otherwise;
    std::string allowed;
    for (const auto& [word, value] : values) {
      if (text(name) == word) return value;
      allowed += (allowed.empty() ? "" : ", ") + std::string(word);
    }
    fail(ErrorKind::kUsage, "{}: expected one of {}, found '{}'", name, allowed, text(name));
  }

  double real(std::string_view name, double otherwise, double least, double most) const {
    return has(name) ? parse_real(text(name), name, least, most) : otherwise;
  }

  int64_t integer(std::string_view name, int64_t otherwise, int64_t least, int64_t most) const {
    return has(name) ? parse_integer(text(name), name, least, most) : otherwise;
  }

  TileShape shape(std::string_view name, const TileShape& otherwise, int64_t least = 1) const {
    if (!has(name)) return otherwise;
    const std::vector<int64_t> values = parse_triple(text(name), name, least);
    return {values[0], values[1], values[2]};
  }

  void require(std::string_view name, std::string_view why) const {
    SPARSESCOPE_CHECK(ErrorKind::kUsage, has(name), "{}: expected for {}, found none", name, why);
  }

 private:
  const OptionTexts& texts_;
};

constexpr int64_t kNoLimit = std::numeric_limits<int64_t>::max();

DenseSettings dense_settings(const Reader& reader) {
  if (!reader.has("--mass-block")) return {};
  return {reader.shape("--mass-block", {})};
}

VsaSettings vsa_settings(const Reader& reader, const TokenGrid& grid) {
  VsaSettings settings{.block = reader.shape("--block", {})};
  const int64_t num_tiles = TileGrid(grid, settings.block).num_tiles();
  SPARSESCOPE_CHECK(ErrorKind::kUsage, reader.has("--sparsity") != reader.has("--top-k"),
                    "vsa: expected one of --sparsity and --top-k, found {}",
                    reader.has("--top-k") ? "both" : "neither");
  settings.top_k = reader.has("--top-k")
                       ? reader.integer("--top-k", 1, 1, num_tiles)
                       : top_k_from_sparsity(reader.real("--sparsity", 0, 0, 1), num_tiles);
  settings.rounding = reader.choice<VsaRounding>(
      "--rounding", VsaRounding::kExact,
      {{"exact", VsaRounding::kExact}, {"fastvideo", VsaRounding::kFastVideo}});
  return settings;
}

VmobaOptions vmoba_settings(const Reader& reader, const TokenGrid& grid) {
  reader.require("--partition", "vmoba");
  VmobaParams params{.partition = parse_partition(reader.text("--partition"))};
  partition_blocks(params.partition, grid);  // refuses what does not divide
  params.select = reader.choice<VmobaSelect>(
      "--select", VmobaSelect::kTopK,
      {{"topk", VmobaSelect::kTopK}, {"threshold", VmobaSelect::kThreshold}});
  params.pool = reader.choice<VmobaPool>("--pool", VmobaPool::kQueryHead,
                                         {{"query_head", VmobaPool::kQueryHead},
                                          {"head_global", VmobaPool::kHeadGlobal},
                                          {"block", VmobaPool::kBlock},
                                          {"overall", VmobaPool::kOverall}});
  const bool by_count = params.select == VmobaSelect::kTopK;
  if (by_count) {
    reader.require("--top-k", "--select topk");
    SPARSESCOPE_CHECK(ErrorKind::kUsage, params.pool != VmobaPool::kBlock,
                      "--pool: expected query_head, head_global or overall with --select topk, "
                      "found 'block'");
  } else {
    reader.require("--threshold", "--select threshold");
  }
  params.top_k = reader.integer("--top-k", 1, 1, kNoLimit);
  params.threshold = reader.real("--threshold", 0, 0, 1);
  return {.params = params, .compat = reader.has("--compat")};
}

void read_bsa_reference(const Reader& reader, const TileShape& block, BsaQueryOptions& query) {
  const std::string& text = reader.text("--centre");
  query.centre.reset();
  if (text.find(',') == std::string::npos) {
    query.reference = reader.choice<BsaReference>("--centre", {},
                                                  {{"T,H,W", BsaReference::kCentre},
                                                   {"auto", BsaReference::kCentre},
                                                   {"window_first", BsaReference::kWindowFirst},
                                                   {"window_last", BsaReference::kWindowLast}});
    if (query.reference != BsaReference::kCentre) query.keep_reference = true;
    return;
  }
  const TileShape centre = reader.shape("--centre", {}, 0);
  SPARSESCOPE_CHECK(
      ErrorKind::kUsage, centre.t < block.t && centre.h < block.h && centre.w < block.w,
      "--centre: expected a place inside a tile of {}, found '{}'", to_string(block), text);
  query.centre = centre;
}

void read_bsa_queries(const Reader& reader, const TileShape& block, BsaQueryOptions& query) {
  query.keep = reader.real("--query-keep", query.keep, 0, 1);
  SPARSESCOPE_CHECK(ErrorKind::kUsage, query.keep > 0,
                    "--query-keep: expected a fraction above 0, found '{}'",
                    reader.text("--query-keep"));
  if (reader.has("--query-window")) {
    query.window = reader.text("--query-window") == "none" ? TileShape{0, 0, 0}
                                                           : reader.shape("--query-window", {});
  }
  if (reader.has("--centre")) read_bsa_reference(reader, block, query);
}

void read_bsa_keys(const Reader& reader, BsaKvOptions& kv) {
  kv.rule = reader.choice<BsaKvRule>("--kv-rule", kv.rule,
                                     {{"gauss_logit", BsaKvRule::kGaussLogit},
                                      {"gauss_prob", BsaKvRule::kGaussProb},
                                      {"gauss_logit_head", BsaKvRule::kGaussLogitHead},
                                      {"cdf", BsaKvRule::kCdf},
                                      {"topk", BsaKvRule::kTopK}});
  kv.keep = reader.real("--kv-keep", kv.keep, 0, 1);
  kv.mass = reader.real("--kv-mass", kv.mass, 0, 1);
  for (const auto& [name, value] : {std::pair{"--kv-keep", kv.keep}, {"--kv-mass", kv.mass}}) {
    SPARSESCOPE_CHECK(ErrorKind::kUsage, value > 0, "{}: expected a fraction above 0, found '{}'",
                      name, reader.text(name));
  }
  kv.min_blocks = reader.integer("--min-blocks", kv.min_blocks, 1, kNoLimit);
}

BsaSettings bsa_settings(const Reader& reader, const TokenGrid& grid) {
  BsaSettings settings{.block = reader.shape("--block", {})};
  const TileGrid tiles(grid, settings.block);
  const bool fastvideo =
      reader.choice<bool>("--preset", false, {{"default", false}, {"fastvideo", true}});
  BsaOptions& options = settings.options;
  if (fastvideo) options = bsa_fastvideo_options(settings.block);
  read_bsa_queries(reader, settings.block, options.query);
  read_bsa_keys(reader, options.kv);
  options.restore = reader.choice<BsaRestore>("--restore", options.restore,
                                              {{"similar", BsaRestore::kSimilar},
                                               {"centre", BsaRestore::kCentre},
                                               {"nearest", BsaRestore::kNearest},
                                               {"zero", BsaRestore::kZero}});
  return settings;
}

void check_owner(std::string_view method, const OptionTexts& texts) {
  for (const auto& [name, text] : texts) {
    const auto option = std::find_if(
        kOptions.begin(), kOptions.end(),
        [&, &wanted = name](const MethodOption& known) { return known.name == wanted; });
    SPARSESCOPE_CHECK(ErrorKind::kInternal, option != kOptions.end(), "{}: no such option", name);
    const std::string owners = fmt::format(" {} ", option->methods);
    SPARSESCOPE_CHECK(
        ErrorKind::kUsage, owners.find(fmt::format(" {} ", method)) != std::string::npos,
        "{}: an option of --method {}, found --method {}", name, option->methods, method);
  }
}

}  // namespace

std::span<const MethodOption> method_options() { return kOptions; }

MethodSettings parse_method_settings(std::string_view method, const OptionTexts& texts,
                                     const TokenGrid& grid) {
  constexpr std::array<std::string_view, 4> kMethods = {"dense", "bsa", "vsa", "vmoba"};
  SPARSESCOPE_CHECK(ErrorKind::kUsage, std::count(kMethods.begin(), kMethods.end(), method) == 1,
                    "--method: expected dense, bsa, vsa or vmoba, found '{}'", method);
  check_owner(method, texts);
  const Reader reader(texts);
  if (method == "vsa") return vsa_settings(reader, grid);
  if (method == "bsa") return bsa_settings(reader, grid);
  if (method == "vmoba") return vmoba_settings(reader, grid);
  return dense_settings(reader);
}

}  // namespace sparsescope
