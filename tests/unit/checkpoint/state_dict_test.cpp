// Shard indices, the choice of files in a folder, and the schema stated on fetch.
#include "checkpoint/state_dict.h"

#include <string>

#include "checkpoint/shard_index.h"
#include "checkpoint/weight_summary.h"
#include "core/sha256.h"
#include "raw_file.h"
#include "support/expect_error.h"
#include "support/temp_dir.h"

namespace sparsescope {
namespace {

using ::testing::ElementsAre;
using testing::error_of;
using ::testing::HasSubstr;
using testing::raw_file;
using testing::TempDir;
using testing::u8_entry;

// A safetensors file of one byte tensor a name.
std::string file_of(const std::vector<std::string>& names) {
  std::vector<std::string> entries;
  for (size_t i = 0; i < names.size(); ++i) entries.push_back(u8_entry(names[i], i, i + 1));
  return raw_file(testing::header_of(entries), names.size());
}

std::string index_of(const std::string& weight_map) {
  return "{\"metadata\":{\"total_size\":123456},\"extra\":[1],\"weight_map\":" + weight_map + "}";
}

std::string refusal_of_index(const std::string& json) {
  return error_of(ErrorKind::kData, [&] { parse_shard_index(json, "the-index"); });
}

TEST(ShardIndex, ReadsTheMapAndIgnoresTheRest) {
  const auto map = parse_shard_index(index_of(R"({"x":"a.safetensors","y":"b.safetensors"})"), "i");
  EXPECT_EQ(map,
            (std::map<std::string, std::string>{{"x", "a.safetensors"}, {"y", "b.safetensors"}}));
  EXPECT_EQ(parse_shard_index(R"({"weight_map":{"../x":"a.b"}})", "i").at("../x"), "a.b");
}

TEST(ShardIndex, RefusesNamesThatLeaveTheFolder) {
  for (const char* name :
       {"../x", "a/b", "/etc/passwd", "", "..", ".", "a\\\\b", "C:x", "x\\u0000y", "a..b"}) {
    EXPECT_THAT(refusal_of_index(index_of("{\"x\":\"" + std::string(name) + "\"}")),
                HasSubstr("plain file name"))
        << name;
  }
}

TEST(ShardIndex, RefusesOtherShapes) {
  EXPECT_THAT(refusal_of_index("[]"), HasSubstr("the-index"));
  refusal_of_index("");
  refusal_of_index("{}");
  refusal_of_index(R"({"weight_map":[]})");
  refusal_of_index(index_of(R"({"x":1})"));
  refusal_of_index(index_of(R"({"x":{"y":"z"}})"));
  EXPECT_THAT(refusal_of_index(index_of(R"({"x":"a","x":"b"})")), HasSubstr("twice"));
  refusal_of_index(R"({"weight_map":{"x":"a"},"weight_map":{"x":"a"}})");
}

TEST(StateDict, ReadsShardsThroughTheIndex) {
  const TempDir folder;
  folder.write("m-00001-of-00002.safetensors", file_of({"b", "a"}));
  folder.write("m-00002-of-00002.safetensors", file_of({"c", "stray"}));
  const auto index = folder.write(
      "diffusion_pytorch_model.safetensors.index.json",
      index_of(R"({"c":"m-00002-of-00002.safetensors","a":"m-00001-of-00002.safetensors",)"
               R"("b":"m-00001-of-00002.safetensors"})"));
  folder.write("unrelated.safetensors", "not even a file");
  for (const auto& path : {folder.path(), index}) {
    const StateDict weights = StateDict::open(path);
    EXPECT_THAT(weights.names(), ElementsAre("a", "b", "c"));
    EXPECT_EQ(weights.files().size(), 2u);
    EXPECT_EQ(weights.total_bytes(), 3u);
    ASSERT_EQ(weights.warnings().size(), 1u);
    EXPECT_THAT(weights.warnings()[0], HasSubstr("stray"));
    EXPECT_FALSE(weights.contains("stray"));
  }
}

TEST(StateDict, RefusesABrokenIndex) {
  const TempDir folder;
  folder.write("a.safetensors", file_of({"x"}));
  folder.write("b.safetensors", file_of({"y"}));
  const auto refusal = [&](const std::string& weight_map) {
    folder.write("model.safetensors.index.json", index_of(weight_map));
    return error_of(ErrorKind::kData, [&] { StateDict::open(folder.path()); });
  };
  EXPECT_THAT(refusal(R"({"x":"a.safetensors","z":"missing.safetensors"})"),
              HasSubstr("missing.safetensors"));
  EXPECT_THAT(refusal(R"({"x":"b.safetensors"})"), HasSubstr("\"x\": expected in b.safetensors"));
  folder.write("b.safetensors", "broken");
  EXPECT_THAT(refusal(R"({"x":"a.safetensors","y":"b.safetensors"})"), HasSubstr("b.safetensors"));
  folder.write("w.bin", "a pickle");
  folder.write("model.safetensors.index.json", index_of(R"({"x":"w.bin"})"));
  error_of(ErrorKind::kUnsupported, [&] { StateDict::open(folder.path()); });
}

TEST(StateDict, OrderOfLoadingInAFolder) {
  const TempDir folder;
  const auto tensors_in_folder = [&] { return StateDict::open(folder.path()).names(); };
  folder.write("only.safetensors", file_of({"only"}));
  EXPECT_THAT(tensors_in_folder(), ElementsAre("only"));
  folder.write("diffusion_pytorch_model-00001-of-00002.safetensors", file_of({"p1"}));
  folder.write("diffusion_pytorch_model-00002-of-00002.safetensors", file_of({"p2"}));
  EXPECT_THAT(tensors_in_folder(), ElementsAre("p1", "p2"));
  EXPECT_THAT(StateDict::open(folder.path()).warnings(),
              ElementsAre(HasSubstr("only.safetensors")));
  folder.write("diffusion_pytorch_model.safetensors", file_of({"single"}));
  EXPECT_THAT(tensors_in_folder(), ElementsAre("single"));
  folder.write("any.safetensors.index.fp16.json", index_of(R"({"only":"only.safetensors"})"));
  EXPECT_THAT(tensors_in_folder(), ElementsAre("only"));
  folder.write("model.safetensors.index.json",
               index_of(R"({"single":"diffusion_pytorch_model.safetensors"})"));
  EXPECT_THAT(tensors_in_folder(), ElementsAre("single"));
  folder.write("diffusion_pytorch_model.safetensors.index.json",
               index_of(R"({"only":"only.safetensors"})"));
  EXPECT_THAT(tensors_in_folder(), ElementsAre("only"));
}

TEST(StateDict, RefusesAnAmbiguousFolder) {
  const TempDir folder;
  const auto refusal = [&](ErrorKind kind) {
    return error_of(kind, [&] { StateDict::open(folder.path()); });
  };
  EXPECT_THAT(refusal(ErrorKind::kData), HasSubstr("found nothing"));
  folder.write("model.pth", "a pickle");
  EXPECT_THAT(refusal(ErrorKind::kUnsupported), HasSubstr("model.pth"));
  folder.write("x.safetensors", file_of({"x"}));
  folder.write("y.safetensors", file_of({"y"}));
  const std::string both = refusal(ErrorKind::kData);
  EXPECT_THAT(both, HasSubstr("x.safetensors"));
  EXPECT_THAT(both, HasSubstr("y.safetensors"));
}

TEST(StateDict, RefusesATensorInTwoFiles) {
  const TempDir folder;
  folder.write("diffusion_pytorch_model-1.safetensors", file_of({"x"}));
  folder.write("diffusion_pytorch_model-2.safetensors", file_of({"x"}));
  EXPECT_THAT(error_of(ErrorKind::kData, [&] { StateDict::open(folder.path()); }),
              HasSubstr("diffusion_pytorch_model-1.safetensors"));
}

TEST(StateDict, RefusesPicklesAndMissingPaths) {
  const TempDir folder;
  for (const char* name : {"a.pt", "a.pth", "a.ckpt", "a.bin", "a.gguf"}) {
    EXPECT_THAT(
        error_of(ErrorKind::kUnsupported, [&] { StateDict::open(folder.write(name, "x")); }),
        HasSubstr(name));
  }
  EXPECT_THAT(error_of(ErrorKind::kData, [&] { StateDict::open(folder / "nowhere"); }),
              HasSubstr("nowhere"));
}

TEST(StateDict, FetchStatesTheSchema) {
  const TempDir folder;
  const StateDict weights = StateDict::open(folder.write("w.safetensors", file_of({"a", "b"})));
  EXPECT_THAT(weights.unused(), ElementsAre("a", "b"));
  EXPECT_EQ(weights.fetch("a", {1}).bytes, 1u);
  EXPECT_THAT(weights.unused(), ElementsAre("b"));
  const std::string message = error_of(ErrorKind::kData, [&] { weights.fetch("b", {2, 3}); });
  EXPECT_THAT(message, HasSubstr("w.safetensors: b: expected [2, 3], found u8 [1]"));
  EXPECT_THAT(weights.unused(), ElementsAre("b"));
  EXPECT_THAT(error_of(ErrorKind::kData, [&] { weights.fetch("c", {1}); }), HasSubstr("\"c\""));
}

TEST(StateDict, CountsDtypes) {
  const TempDir folder;
  const auto path = folder.write(
      "w.safetensors",
      raw_file(testing::header_of({u8_entry("a", 0, 3), u8_entry("b", 3, 4),
                                   R"("c":{"dtype":"X9","shape":[2],"data_offsets":[4,9]})"}),
               9));
  const auto uses = dtype_uses(StateDict::open(path));
  ASSERT_EQ(uses.size(), 2u);
  EXPECT_EQ(uses.at("U8").tensors, 2);
  EXPECT_EQ(uses.at("U8").bytes, 4u);
  EXPECT_EQ(uses.at("X9").tensors, 1);
  EXPECT_EQ(uses.at("X9").bytes, 5u);
}

TEST(StateDict, Renames) {
  const TempDir folder;
  StateDict weights =
      StateDict::open(folder.write("w.safetensors", file_of({"m.a", "m.b", "vae.c"})));
  weights.rename([](const std::string& name) {
    return name.starts_with("m.") ? name.substr(2) : std::string();
  });
  EXPECT_THAT(weights.names(), ElementsAre("a", "b"));
  EXPECT_THAT(weights.warnings(), ElementsAre(HasSubstr("1 tensors")));
  EXPECT_EQ(weights.fetch("b", {1}).bytes, 1u);
  EXPECT_THAT(error_of(ErrorKind::kData, [&] { weights.rename([](const auto&) { return "x"; }); }),
              HasSubstr("m.a"));
  EXPECT_THAT(weights.names(), ElementsAre("a", "b"));
}

TEST(StateDict, ContentHashFollowsNamesAndBytes) {
  const TempDir folder;
  const std::string content = file_of({"a"});
  const auto hash_of = [&](const char* name, const std::string& bytes) {
    return StateDict::open(folder.write(name, bytes)).content_hash();
  };
  const std::string expected_text = sha256_hex(content.data(), content.size()) + " w.safetensors\n";
  EXPECT_EQ(hash_of("w.safetensors", content),
            sha256_hex(expected_text.data(), expected_text.size()));
  EXPECT_EQ(hash_of("elsewhere/w.safetensors", content), hash_of("w.safetensors", content));
  EXPECT_NE(hash_of("v.safetensors", content), hash_of("w.safetensors", content));
  EXPECT_NE(hash_of("w.safetensors", file_of({"b"})), hash_of("elsewhere/w.safetensors", content));
}

}  // namespace
}  // namespace sparsescope
