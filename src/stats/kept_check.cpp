#include "stats/kept_check.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "core/error.h"
#include "core/tensor_view.h"
#include "stats/kept_store.h"
#include "stats/profile_store.h"

namespace sparsescope {
namespace {

constexpr int64_t kColours = 3;

class KeptChecker {
 public:
  explicit KeptChecker(const Profile& profile) : p_(profile) {}

  std::vector<std::string> run() {
    const std::set<std::string> sites = recorded_sites();
    for (const auto& [name, call] : p_.kept.calls) {
      if (!sites.contains(name)) add("/qkv/" + name, "belongs to no recorded site");
      check_call("/qkv/" + name, call);
    }
    for (const auto& [prompt, array] : p_.kept.latents) {
      const std::string place = "/latents/" + prompt_name(prompt);
      check_prompt(place, prompt);
      check_shape(place, array.shape, latent_shape());
      check_finite(place, array);
    }
    for (const auto& [prompt, array] : p_.kept.videos) check_video(prompt, array);
    return std::move(findings_);
  }

 private:
  void add(const std::string& place, const std::string& what) {
    findings_.push_back(place + ": " + what);
  }

  std::set<std::string> recorded_sites() const {
    std::set<std::string> names;
    for (int64_t p = 0; p < p_.prompts; ++p)
      for (int64_t b = 0; b < p_.branches; ++b)
        for (int64_t s = 0; s < p_.steps; ++s)
          for (int64_t l = 0; l < p_.layers; ++l)
            if (p_.is_recorded(p, b, s, l)) names.insert(map_name(p, b, s, l));
    return names;
  }

  void check_call(const std::string& place, const KeptCall& call) {
    if (!(call.scale > 0) || !std::isfinite(call.scale)) {
      add(place, fmt::format("the attribute scale is {}, expected a positive number", call.scale));
    }
    for (size_t i = 0; i < kQkvNames.size(); ++i) {
      check_finite(place + "/" + kQkvNames[i], call.qkv[i]);
    }
  }

  void check_prompt(const std::string& place, int64_t prompt) {
    if (prompt >= p_.prompts) {
      add(place, fmt::format("expected a prompt below {}, found {}", p_.prompts, prompt));
    }
  }

  void check_shape(const std::string& place, const std::vector<int64_t>& found,
                   const std::vector<int64_t>& expected) {
    if (found != expected) {
      add(place, fmt::format("expected the extents {}, found {}", shape_to_string(expected),
                             shape_to_string(found)));
    }
  }

  void check_finite(const std::string& place, const KeptArray<float>& array) {
    const std::string wrong = first_not_finite(array.read());
    if (!wrong.empty()) add(place, wrong);
  }

  // The manifest's [1, C, F, Hl, Wl] where it has one, else that of the first prompt.
  std::vector<int64_t> latent_shape() const {
    const Json stated = p_.manifest.value("latent_shape", Json());
    if (!stated.is_array() || stated.size() != 5) return p_.kept.latents.begin()->second.shape;
    std::vector<int64_t> shape;
    for (size_t i = 1; i < stated.size(); ++i) {
      shape.push_back(stated[i].is_number_integer() ? stated[i].get<int64_t>() : -1);
    }
    return shape;
  }

  void check_video(int64_t prompt, const KeptArray<uint8_t>& array) {
    const std::string place = "/videos/" + prompt_name(prompt);
    check_prompt(place, prompt);
    check_shape(place, array.shape, p_.kept.videos.begin()->second.shape);
    if (array.shape.back() != kColours) add(place, "expected three colours");
    if (!p_.kept.latents.contains(prompt)) add(place, "expected its latents beside it");
    array.read();  // every chunk has a checksum
  }

  const Profile& p_;
  std::vector<std::string> findings_;
};

}  // namespace

std::string first_not_finite(const std::vector<float>& values) {
  const auto wrong =
      std::find_if(values.begin(), values.end(), [](float value) { return !std::isfinite(value); });
  return wrong == values.end() ? "" : fmt::format("value {} is {}", wrong - values.begin(), *wrong);
}

std::vector<std::string> check_kept(const Profile& profile) { return KeptChecker(profile).run(); }

}  // namespace sparsescope
