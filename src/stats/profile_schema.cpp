#include "stats/profile_schema.h"

#include <algorithm>
#include <map>

#include "capture/query_windows.h"
#include "stats/profile.h"

namespace sparsescope {
namespace {

constexpr double kUnbounded = std::numeric_limits<double>::infinity();

constexpr std::string_view kMass = "probability";
constexpr std::string_view kFraction = "fraction of query-key pairs";
constexpr std::string_view kLoss = "squared relative L2 error of the model's output";
constexpr std::string_view kRelative = "relative L2 error";

struct AxisText {
  std::string_view unit;
  std::string_view description;
};

const std::map<std::string, AxisText, std::less<>>& axis_texts() {
  static const std::map<std::string, AxisText, std::less<>> texts = {
      {"prompt", {"index", "prompt, in the order of the manifest"}},
      {"branch", {"index", "guidance branch: 0 conditional, 1 unconditional"}},
      {"step", {"index", "denoising step, counted from the noisiest"}},
      {"layer", {"index", "self-attention layer in execution order"}},
      {"head", {"index", "attention head"}},
      {"tile", {"index", "key tile; tiles are numbered t, h, w with w fastest"}},
      {"query_tile", {"index", "query tile, numbered like the key tiles"}},
      {"distance_t", {"frames", "distance between query and key along t"}},
      {"distance_h", {"tokens", "distance between query and key along h"}},
      {"distance_w", {"tokens", "distance between query and key along w"}},
      {"offset_t", {"tiles", "distance between query and key tile along t"}},
      {"offset_h", {"tiles", "distance between query and key tile along h"}},
      {"offset_w", {"tiles", "distance between query and key tile along w"}},
      {"window", {"tokens", "extents t,h,w of the windows that a tile is cut into"}},
      {"frame_query", {"index", "latent frame of the rows"}},
      {"frame_key", {"index", "latent frame of the keys"}},
      {"bin", {"index", "equal bins of the cosine over [-1, 1]"}},
      {"f", {"fraction of tiles", "kept fraction of the tiles"}},
      {"kappa",
       {"tail probability", "BSA's cutoff: kept share of a normal distribution of scores"}},
      {"tau", {"probability", "VMoBA's threshold on the summed share of the chosen blocks"}},
      {"k", {"blocks", "VMoBA's number of chosen blocks, the own one included"}},
      {"pool", {"", "scores that share one threshold"}},
      {"moment", {"", "moment of a row of pooled scores"}},
      {"token", {"index", "text before the video, the video in raster order, text behind it"}},
      {"channel", {"index", "channel of a head, or of the latents"}},
      {"frame", {"index", "frame of the latents or the video"}},
      {"latent_height", {"index", "row of the latents"}},
      {"latent_width", {"index", "column of the latents"}},
      {"height", {"pixels", "row of the video"}},
      {"width", {"pixels", "column of the video"}},
      {"rgb", {"", "colour"}},
  };
  return texts;
}

std::string_view last_component(std::string_view name) {
  const size_t slash = name.rfind('/');
  return slash == std::string_view::npos ? name : name.substr(slash + 1);
}

}  // namespace

const std::vector<StatisticSchema>& statistic_schemas() {
  static const std::vector<StatisticSchema> schemas = {
      {"coverage_row", kMass, "mean over rows of the mass of the row's K(f) heaviest tiles"},
      {"coverage_tile", kMass, "row-weighted mean over query tiles of the K(f) heaviest key tiles"},
      {"coverage_pooled", kMass, "the same for the K(f) key tiles with the largest pooled scores"},
      {"key_mass", kMass, "share of all attention that the tile receives"},
      {"mass_dt", kMass, "mean over rows of the probability on keys at this distance in frames"},
      {"mass_dh", kMass, "mean over rows of the probability on keys at this distance in rows"},
      {"mass_dw", kMass, "mean over rows of the probability on keys at this distance in columns"},
      {"frame_mass", kMass, "mean over rows of one frame of the probability on keys of another"},
      {"offset_mass", kMass,
       "mean over video rows of the probability on the key tiles at this absolute tile offset", 0,
       1, false},
      {"prefix_mass", kMass, "mean over video rows of the probability on text keys"},
      {"entropy", "nat", "mean over rows of the entropy of the attention", 0, kUnbounded},
      {"row_overlap", "fraction", "mean over rows of 1 - half the L1 distance to the tile's mean"},
      {"query_cosine", "rows",
       "histogram of the cosine between a row's query and its tile's centre", 0, kUnbounded},
      {"window_cosine", "cosine",
       "mean over rows of the cosine between a row's query and its window's centre", -1, 1, false},
      {"score_moments", "", "mean over query tiles of the moments of the pooled scores",
       -kUnbounded, kUnbounded},
      {"bsa_density", kFraction, "kept pairs under BSA's Gaussian cutoff"},
      {"bsa_recall", kMass, "mass kept under BSA's Gaussian cutoff"},
      {"density_topk", kFraction, "kept pairs under VMoBA's top-k choice of blocks"},
      {"recall_topk", kMass, "mass kept under VMoBA's top-k choice of blocks"},
      {"density_tau", kFraction, "kept pairs under VMoBA's threshold choice of blocks"},
      {"recall_tau", kMass, "mass kept under VMoBA's threshold choice of blocks"},
      {"error_pooled", kRelative, "output error when only the best-scored K(f) tiles are kept", 0,
       kUnbounded, false},
      {"bsa_error", kRelative, "output error under BSA's cutoff, query selection and restore", 0,
       kUnbounded, false},
      {"bsa_error_unpruned", kRelative, "output error under BSA's cutoff, all queries kept", 0,
       kUnbounded, false},
      {"error_topk", kRelative, "output error under VMoBA's top-k choice", 0, kUnbounded, false},
      {"error_tau", kRelative, "output error under VMoBA's threshold choice", 0, kUnbounded, false},
      {"sensitivity", "ratio", "relative change of the model's output per unit error of the head",
       0, kUnbounded, false},
      {"effect_pooled", kLoss, "change of the model's output when the head keeps K(f) tiles",
       -kUnbounded, kUnbounded, false},
      {"bsa_effect", kLoss, "the same under BSA's cutoff, query selection and restore", -kUnbounded,
       kUnbounded, false},
      {"bsa_effect_unpruned", kLoss, "the same under BSA's cutoff, all queries kept", -kUnbounded,
       kUnbounded, false},
      {"effect_topk", kLoss, "the same under VMoBA's top-k choice", -kUnbounded, kUnbounded, false},
      {"effect_tau", kLoss, "the same under VMoBA's threshold choice", -kUnbounded, kUnbounded,
       false},
      {"output_loss", kLoss, "of the model's output with the plan in force, before any change", 0,
       kUnbounded, false},
  };
  return schemas;
}

const StatisticSchema* find_statistic(std::string_view array_name) {
  const std::string_view name = last_component(array_name);
  const auto& schemas = statistic_schemas();
  const auto found =
      std::find_if(schemas.begin(), schemas.end(),
                   [&](const StatisticSchema& schema) { return schema.name == name; });
  return found == schemas.end() ? nullptr : &*found;
}

std::string dataset_of_array(const std::string& array_name) {
  return array_name.starts_with("vmoba/") ? "/" + array_name : "/stats/" + array_name;
}

Axis describe_axis(const std::string& name, int64_t length) {
  Axis axis;
  if (const auto text = axis_texts().find(name); text != axis_texts().end()) {
    axis.unit = text->second.unit;
    axis.description = text->second.description;
  } else {
    axis.unit = "index";
    axis.description = name;
  }
  if (name == "pool" && length == 4) {
    axis.labels = {"query_head", "head_global", "block", "overall"};
  } else if (name == "moment" && length == 4) {
    axis.labels = {"mean", "standard_deviation", "skewness", "excess_kurtosis"};
  } else if (name == "rgb" && length == 3) {
    axis.labels = {"red", "green", "blue"};
  } else if ((name == "f" || name == "kappa") && length == std::ssize(fraction_grid())) {
    axis.values = fraction_grid();
  } else if (name == "tau" && length == std::ssize(tau_grid())) {
    axis.values = tau_grid();
  } else {
    const int first = name == "k" ? 1 : 0;
    for (int64_t i = 0; i < length; ++i) axis.indices.push_back(first + i);
  }
  return axis;
}

Axis describe_axis(const std::string& name, int64_t length, const TileGrid& tiles) {
  Axis axis = describe_axis(name, length);
  const std::vector<TileShape> windows = query_windows(tiles);
  if (name != "window" || length != std::ssize(windows)) return axis;
  axis.indices.clear();
  for (const TileShape& window : windows) axis.labels.push_back(to_string(window));
  return axis;
}

std::string scale_of_axis(const std::string& axis, const std::string& dataset) {
  return axis == "k" ? dataset.substr(0, dataset.rfind('/')) + "/k" : "/" + axis;
}

std::vector<std::string> distinct_axes(std::vector<std::string> axes) {
  for (size_t i = 0; i < axes.size(); ++i) {
    if (std::find(axes.begin() + static_cast<std::ptrdiff_t>(i) + 1, axes.end(), axes[i]) !=
        axes.end()) {
      axes[i] = "query_" + axes[i];
    }
  }
  return axes;
}

}  // namespace sparsescope
