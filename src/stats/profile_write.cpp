#include <algorithm>
#include <map>

#include "core/atomic_file.h"
#include "core/error.h"
#include "core/hdf5_file.h"
#include "stats/kept_store.h"
#include "stats/profile_datasets.h"
#include "stats/profile_schema.h"
#include "stats/profile_store.h"

namespace sparsescope {
namespace {

class Writer {
 public:
  Writer(Hdf5File& file, const Profile& profile) : file_(file), profile_(profile) {}

  void write() {
    root_attributes();
    collect_scales();
    const TileGrid tiles(profile_.grid, profile_.tile);
    for (const auto& [path, scale] : scales_) {
      write_scale(file_, path, scale.name, describe_axis(scale.name, scale.length, tiles));
    }
    site_datasets();
    for (const auto& [name, array] : profile_.arrays) statistic(name, array);
    for (const auto& [name, values] : profile_.maps) map(name, values);
    write_kept(file_, profile_);
  }

 private:
  struct Scale {
    std::string name;
    int64_t length = 0;
  };

  void root_attributes() {
    const Json& manifest = profile_.manifest;
    const TokenGrid& grid = profile_.grid;
    const TileShape& tile = profile_.tile;
    file_.set_attribute("/", "format", std::string(kProfileFormat));
    file_.set_attribute("/", "version", kProfileVersion);
    file_.set_attribute("/", "schema_version", "1.0");
    file_.set_attribute("/", "manifest", manifest.dump());
    file_.set_attribute("/", "grid", std::vector<int64_t>{grid.t, grid.h, grid.w});
    file_.set_attribute("/", "tile", std::vector<int64_t>{tile.t, tile.h, tile.w});
    for (const char* name : {"producer", "build", "config", "rng_key", "device"}) {
      const Json value = manifest.value(name, Json(nullptr));
      file_.set_attribute("/", name, value.is_string() ? value.get<std::string>() : value.dump());
    }
  }

  void add_scale(const std::string& axis, int64_t length, const std::string& dataset) {
    const Scale& scale =
        scales_.try_emplace(scale_of_axis(axis, dataset), axis, length).first->second;
    SPARSESCOPE_CHECK(ErrorKind::kInternal, scale.length == length,
                      "{}: the axis {} has {} places here and {} elsewhere", dataset, axis, length,
                      scale.length);
  }

  void collect_scales() {
    const int64_t extents[] = {profile_.prompts, profile_.branches, profile_.steps, profile_.layers,
                               profile_.heads};
    for (size_t i = 0; i < kLeadingAxes.size(); ++i) add_scale(kLeadingAxes[i], extents[i], "/");
    for (const auto& [name, array] : profile_.arrays) {
      const std::vector<std::string> axes = distinct_axes(array.axes);
      for (size_t i = 0; i < axes.size(); ++i) {
        add_scale(axes[i], array.shape[i], dataset_of_array(name));
      }
    }
    const int64_t tiles = num_tiles();
    add_scale("tile", tiles, "/");
    if (!profile_.maps.empty()) add_scale("query_tile", tiles, "/");
    // The grids that every reader may rely on, also where a run recorded nothing along them.
    add_scale("f", std::ssize(fraction_grid()), "/");
    add_scale("kappa", std::ssize(fraction_grid()), "/");
    add_scale("tau", std::ssize(tau_grid()), "/");
  }

  void describe(const std::string& dataset, const std::vector<std::string>& axes,
                std::string_view unit, std::string_view description) {
    describe_dataset(file_, dataset, axes, unit, description);
  }

  void attach(const std::string& dataset, const std::vector<std::string>& axes) {
    std::vector<std::string> scales;
    for (const std::string& axis : axes) scales.push_back(scale_of_axis(axis, dataset));
    attach_scales(file_, dataset, scales);
  }

  void site_datasets() {
    const Profile& p = profile_;
    const std::vector<std::string> site_axes(kLeadingAxes.begin(), kLeadingAxes.end() - 1);
    file_.write("/recorded", p.recorded, {p.prompts, p.branches, p.steps, p.layers});
    describe("/recorded", site_axes, "", "1 where the site was recorded");
    attach("/recorded", site_axes);
    file_.write("/timestep", p.timestep, {p.steps});
    describe("/timestep", {"step"}, "", "timestep as fed to the model, untruncated");
    attach("/timestep", {"step"});
    file_.write("/sigma", p.sigma, {p.steps});
    describe("/sigma", {"step"}, "", "noise level at which the step starts");
    attach("/sigma", {"step"});
    if (!p.expert.empty()) {
      file_.write("/expert", p.expert, {p.steps});
      describe("/expert", {"step"}, "", "transformer of the step: 0 high noise, 1 low noise");
      attach("/expert", {"step"});
    }
    file_.write_strings("/layer_name", p.layer_name);
    describe("/layer_name", {"layer"}, "", "module of the checkpoint");
    attach("/layer_name", {"layer"});
    file_.write("/rows", std::vector<int64_t>{rows_of_full_tile(p)}, {});
    describe("/rows", {}, "rows", "rows of a full tile behind coverage_row and VMoBA's statistics");
  }

  void statistic(const std::string& name, const ProfileArray& array) {
    const std::string dataset = dataset_of_array(name);
    const std::vector<std::string> axes = distinct_axes(array.axes);
    file_.write(dataset, array.values, array.shape);
    describe(dataset, axes, array.unit, array.description);
    attach(dataset, axes);
  }

  void map(const std::string& name, const std::vector<float>& values) {
    const std::vector<std::string> axes = {"head", "query_tile", "tile"};
    const std::string dataset = "/maps/" + name;
    file_.write(dataset, values, {profile_.heads, num_tiles(), num_tiles()});
    describe(dataset, axes, "probability", "tile mass: mean over the query tile's rows");
    attach(dataset, axes);
  }

  int64_t num_tiles() const { return TileGrid(profile_.grid, profile_.tile).num_tiles(); }

  Hdf5File& file_;
  const Profile& profile_;
  std::map<std::string, Scale> scales_;  // by path
};

}  // namespace

void write_profile(const std::filesystem::path& path, const Profile& profile, bool replace) {
  write_atomically(path, replace, [&](const std::filesystem::path& temporary) {
    Hdf5File file = Hdf5File::create(temporary);
    Writer(file, profile).write();
    file.close();
  });
}

std::string map_name(int64_t prompt, int64_t branch, int64_t step, int64_t layer) {
  return fmt::format("p{}_b{}_s{}_l{}", prompt, branch, step, layer);
}

int64_t rows_of_full_tile(const Profile& profile) {
  const TokenGrid& grid = profile.grid;
  const TileShape& tile = profile.tile;
  const int64_t all =
      std::min(grid.t, tile.t) * std::min(grid.h, tile.h) * std::min(grid.w, tile.w);
  return profile.rows_per_tile == 0 ? all : std::min(profile.rows_per_tile, all);
}

}  // namespace sparsescope
