// The profile file: what is written is read back bit for bit, lies where the format says, and
// nothing damaged is ever read in part.
#include "stats/profile_store.h"

#include <gmock/gmock.h>

#include <bit>

#include "core/error.h"
#include "core/hdf5_file.h"
#include "example_profile.h"
#include "support/temp_dir.h"

namespace sparsescope {
namespace {

using ::testing::ElementsAre;
using testing::example_profile;
using ::testing::HasSubstr;
using testing::TempDir;

std::vector<uint32_t> bits_of(const std::vector<float>& values) {
  std::vector<uint32_t> bits;
  for (const float value : values) bits.push_back(std::bit_cast<uint32_t>(value));
  return bits;
}

template <typename Body>
Error error_of(const Body& body) {
  try {
    body();
  } catch (const Error& error) {
    return error;
  }
  return Error(ErrorKind::kInternal, "nothing was thrown");
}

TEST(ProfileStore, ReadsBackWhatWasWritten) {
  const TempDir folder;
  const Profile written = example_profile();
  write_profile(folder / "run.h5", written, false);
  const Profile found = read_profile(folder / "run.h5");

  EXPECT_EQ(found.manifest, written.manifest);
  EXPECT_EQ(found.grid, written.grid);
  EXPECT_EQ(found.tile, written.tile);
  EXPECT_EQ(found.prompts, 1);
  EXPECT_EQ(found.branches, 2);
  EXPECT_EQ(found.steps, 3);
  EXPECT_EQ(found.layers, 2);
  EXPECT_EQ(found.heads, 2);
  EXPECT_EQ(found.rows_per_tile, 0);
  EXPECT_EQ(found.timestep, written.timestep);
  EXPECT_EQ(found.sigma, written.sigma);
  EXPECT_EQ(found.layer_name, written.layer_name);
  EXPECT_EQ(found.recorded, written.recorded);
  ASSERT_EQ(found.arrays.size(), written.arrays.size());
  for (const auto& [name, array] : written.arrays) {
    const ProfileArray& other = found.arrays.at(name);
    EXPECT_EQ(other.axes, distinct_axes(array.axes)) << name;
    EXPECT_EQ(other.shape, array.shape) << name;
    EXPECT_EQ(other.unit, array.unit) << name;
    EXPECT_EQ(other.description, array.description) << name;
    EXPECT_EQ(bits_of(other.values), bits_of(array.values)) << name;
  }
  ASSERT_EQ(found.maps.size(), 1u);
  EXPECT_EQ(found.maps.at("p0_b1_s2_l1"), written.maps.at("p0_b1_s2_l1"));
  EXPECT_EQ(folder.num_entries(), 1u) << "a temporary file was left";
}

TEST(ProfileStore, KeepsTheNumberOfMeasuredRows) {
  const TempDir folder;
  Profile profile = example_profile();
  profile.rows_per_tile = 3;
  write_profile(folder / "run.h5", profile, false);

  EXPECT_EQ(Hdf5File::open(folder / "run.h5").read<int64_t>("/rows", {}).front(), 3);
  EXPECT_EQ(read_profile(folder / "run.h5").rows_per_tile, 3);
}

TEST(ProfileStore, LiesWhereTheFormatSays) {
  const TempDir folder;
  write_profile(folder / "run.h5", example_profile(), false);
  const Hdf5File file = Hdf5File::open(folder / "run.h5");

  EXPECT_EQ(file.string_attribute("/", "format"), "sparsescope-profile");
  EXPECT_EQ(file.int64_attribute("/", "version"), 1);
  EXPECT_EQ(parse_json(file.string_attribute("/", "manifest"), "manifest").at("seed"), 7);
  EXPECT_EQ(file.string_attribute("/", "producer"), "sparsescope test");
  EXPECT_THAT(file.info("/stats/coverage_row").shape, ElementsAre(1, 2, 3, 2, 2, 12));
  EXPECT_THAT(file.info("/stats/entropy").shape, ElementsAre(1, 2, 3, 2, 2));
  EXPECT_THAT(file.info("/vmoba/st:1,3,1/recall_tau").shape, ElementsAre(1, 2, 3, 2, 2, 4, 19));
  EXPECT_THAT(file.info("/maps/p0_b1_s2_l1").shape, ElementsAre(2, 6, 6));
  EXPECT_EQ(file.info("/stats/entropy").type, Hdf5Type::kFloat);
  EXPECT_THAT(file.read<int64_t>("/vmoba/temporal:1/k", {2}), ElementsAre(1, 2));
  EXPECT_THAT(file.info("/stats/offset_mass").shape, ElementsAre(1, 2, 3, 2, 2, 1, 2, 3));
  EXPECT_THAT(file.read_strings("/window", 5),
              ElementsAre("2,1,1", "1,2,1", "1,1,2", "1,2,2", "2,2,2"));
  EXPECT_EQ(file.string_attribute("/window", "unit"), "tokens");
  EXPECT_EQ(file.read<double>("/f", {12}), fraction_grid());
  EXPECT_EQ(file.read<double>("/tau", {19}), tau_grid());
  EXPECT_EQ(file.read<double>("/timestep", {3})[1], 857.692307692);
  EXPECT_EQ(file.read<uint8_t>("/recorded", {1, 2, 3, 2})[2], 0);
}

TEST(ProfileStore, EveryAxisHasANamedScale) {
  const TempDir folder;
  write_profile(folder / "run.h5", example_profile(), false);
  const Hdf5File file = Hdf5File::open(folder / "run.h5");

  EXPECT_THAT(file.scales("/stats/coverage_row"),
              ElementsAre("/prompt", "/branch", "/step", "/layer", "/head", "/f"));
  EXPECT_THAT(file.scales("/stats/frame_mass"), ElementsAre("/prompt", "/branch", "/step", "/layer",
                                                            "/head", "/query_frame", "/frame"));
  EXPECT_THAT(file.scales("/vmoba/temporal:1/recall_topk"),
              ElementsAre("/prompt", "/branch", "/step", "/layer", "/head", "/vmoba/temporal:1/k"));
  EXPECT_THAT(file.scales("/maps/p0_b1_s2_l1"), ElementsAre("/head", "/query_tile", "/tile"));
  EXPECT_THAT(file.scales("/recorded"), ElementsAre("/prompt", "/branch", "/step", "/layer"));
  EXPECT_THAT(file.scales("/timestep"), ElementsAre("/step"));
  for (const Hdf5Entry& entry : file.list("/stats")) {
    const std::string dataset = "/stats/" + entry.name;
    for (const char* attribute : {"axes", "unit", "description"}) {
      EXPECT_TRUE(file.has_attribute(dataset, attribute)) << dataset << " " << attribute;
    }
  }
}

TEST(ProfileStore, NeverReplacesUnasked) {
  const TempDir folder;
  folder.write("run.h5", "precious");
  const Error error = error_of([&] { write_profile(folder / "run.h5", example_profile(), false); });

  EXPECT_EQ(error.kind(), ErrorKind::kUsage);
  EXPECT_EQ(testing::read_file(folder / "run.h5"), "precious");
  write_profile(folder / "run.h5", example_profile(), true);
  EXPECT_EQ(read_profile(folder / "run.h5").prompts, 1);
}

TEST(ProfileStore, RefusesAFileThatIsCutAnywhere) {
  const TempDir folder;
  write_profile(folder / "run.h5", example_profile(), false);
  const std::string whole = testing::read_file(folder / "run.h5");
  for (int part = 0; part < 40; ++part) {
    const auto path = folder.write("cut.h5", whole.substr(0, whole.size() * part / 40));
    const Error error = error_of([&] { read_profile(path); });
    EXPECT_EQ(error.kind(), ErrorKind::kData) << part << ": " << error.what();
    EXPECT_THAT(error.what(), HasSubstr("cut.h5"));
  }
}

TEST(ProfileStore, NoticesFlippedBitsInStatistics) {
  const TempDir folder;
  write_profile(folder / "run.h5", example_profile(), false);
  const Profile truth = read_profile(folder / "run.h5");
  const std::string whole = testing::read_file(folder / "run.h5");
  int refused = 0;
  for (size_t place = 0; place < whole.size(); place += 151) {
    std::string damaged = whole;
    damaged[place] = static_cast<char>(damaged[place] ^ 0x10);
    const auto path = folder.write("damaged.h5", damaged);
    try {
      const Profile found = read_profile(path);
      // A bit of padding or of a text may go unnoticed, a value never.
      for (const auto& [name, array] : found.arrays) {
        const auto original = truth.arrays.find(name);
        if (original == truth.arrays.end()) continue;
        EXPECT_EQ(bits_of(array.values), bits_of(original->second.values)) << name << " @" << place;
      }
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kData) << error.what();
      ++refused;
    }
  }
  EXPECT_GT(refused, 0);
}

TEST(ProfileStore, RefusesForeignFiles) {
  const TempDir folder;
  const auto text = folder.write("text.h5", std::string(5000, 'x'));
  EXPECT_EQ(error_of([&] { read_profile(text); }).kind(), ErrorKind::kData);
  EXPECT_EQ(error_of([&] { read_profile(folder / "missing.h5"); }).kind(), ErrorKind::kData);
  Hdf5File::create(folder / "other.h5").close();
  const Error error = error_of([&] { read_profile(folder / "other.h5"); });
  EXPECT_EQ(error.kind(), ErrorKind::kData);
  EXPECT_THAT(error.what(), HasSubstr("sparsescope-profile"));
}

TEST(ProfileStore, NamesBothVersionsOfALaterFile) {
  const TempDir folder;
  Hdf5File file = Hdf5File::create(folder / "later.h5");
  file.set_attribute("/", "format", std::string("sparsescope-profile"));
  file.set_attribute("/", "version", int64_t{2});
  file.close();
  const Error error = error_of([&] { read_profile(folder / "later.h5"); });

  EXPECT_EQ(error.kind(), ErrorKind::kUnsupported);
  EXPECT_THAT(error.what(), HasSubstr("version 2"));
  EXPECT_THAT(error.what(), HasSubstr("version 1"));
}

TEST(ProfileStore, RefusesStatisticsOfAnotherShape) {
  const TempDir folder;
  Profile profile = example_profile();
  profile.steps = 2;  // the arrays still have three
  profile.recorded.resize(8);
  profile.timestep.pop_back();
  profile.sigma.pop_back();
  EXPECT_EQ(error_of([&] { write_profile(folder / "run.h5", profile, false); }).kind(),
            ErrorKind::kInternal);
  EXPECT_EQ(folder.num_entries(), 0u);
}

TEST(ProfileCheck, FindsNothingInASoundFile) {
  const TempDir folder;
  write_profile(folder / "run.h5", example_profile(), false);
  EXPECT_THAT(check_profile(folder / "run.h5"), ElementsAre());
}

// Profiles of earlier producers lack what came later.
TEST(ProfileCheck, DoesNotAskForLaterStatistics) {
  const TempDir folder;
  Profile profile = example_profile();
  profile.arrays.erase("offset_mass");
  profile.arrays.erase("window_cosine");
  write_profile(folder / "run.h5", profile, false);
  EXPECT_THAT(check_profile(folder / "run.h5"), ElementsAre());
}

struct Defect {
  const char* name;
  void (*make)(Profile& profile);
  const char* said;
};

class ProfileCheckDefect : public ::testing::TestWithParam<Defect> {};

TEST_P(ProfileCheckDefect, IsNamed) {
  const TempDir folder;
  Profile profile = example_profile();
  GetParam().make(profile);
  write_profile(folder / "run.h5", profile, false);
  const std::vector<std::string> findings = check_profile(folder / "run.h5");
  ASSERT_FALSE(findings.empty());
  EXPECT_THAT(findings.front(), HasSubstr(GetParam().said));
}

void set_first(Profile& profile, const char* name, float value) {
  profile.arrays.at(name).values.front() = value;
}

INSTANTIATE_TEST_SUITE_P(
    All, ProfileCheckDefect,
    ::testing::Values(
        Defect{"range", [](Profile& p) { set_first(p, "row_overlap", 1.5f); }, "row_overlap"},
        Defect{"hole", [](Profile& p) { set_first(p, "entropy", std::nanf("")); }, "entropy"},
        Defect{"ghost", [](Profile& p) { p.arrays.at("entropy").values[4] = 1.0f; }, "entropy"},
        Defect{"sum", [](Profile& p) { set_first(p, "key_mass", 0.5f); }, "key_mass"},
        Defect{"offsets", [](Profile& p) { set_first(p, "offset_mass", 0.25f); }, "offset_mass"},
        Defect{"window", [](Profile& p) { set_first(p, "window_cosine", 1.5f); }, "window_cosine"},
        Defect{"distance", [](Profile& p) { set_first(p, "mass_dt", 0.1f); }, "mass_dt"},
        Defect{"falls", [](Profile& p) { set_first(p, "coverage_tile", 0.9f); }, "coverage_tile"},
        Defect{"count", [](Profile& p) { set_first(p, "query_cosine", 3.0f); }, "query_cosine"},
        Defect{"missing", [](Profile& p) { p.arrays.erase("bsa_recall"); }, "bsa_recall"},
        Defect{"map", [](Profile& p) { p.maps.begin()->second[0] = 0.9f; }, "p0_b1_s2_l1"}),
    [](const auto& test) { return std::string(test.param.name); });

TEST(ProfileCheck, ReportsABrokenFile) {
  const TempDir folder;
  const auto path = folder.write("text.h5", std::string(5000, 'x'));
  EXPECT_EQ(check_profile(path).size(), 1u);
}

}  // namespace
}  // namespace sparsescope
