#include "checkpoint/checkpoint_folder.h"

#include <string>

#include "checkpoint/state_dict.h"
#include "raw_file.h"
#include "support/expect_error.h"
#include "support/temp_dir.h"

namespace sparsescope {
namespace {

using testing::error_of;
using ::testing::HasSubstr;
using testing::TempDir;

const std::string kEmptyWeights = testing::raw_file("{}");

TEST(CheckpointFolder, PipelineFolder) {
  const TempDir root;
  root.write("model_index.json", R"({"_class_name":"WanPipeline"})");
  root.write("transformer/config.json", R"({"num_layers":30})");
  root.write("transformer_2/config.json", "{}");
  root.write("scheduler/scheduler_config.json", R"({"shift":3.0})");
  root.write("text_encoder/config.json", R"({"_class_name":"WordEmbedding"})");
  root.write("codec/config.json", R"({"_class_name":"LinearCodec"})");
  const CheckpointFolder folder = open_checkpoint_folder(root.path());
  EXPECT_EQ(folder.root, root.path());
  EXPECT_EQ(folder.transformer, root / "transformer");
  EXPECT_EQ(folder.transformer_2, root / "transformer_2");
  EXPECT_EQ(folder.config_2, Json::object());
  EXPECT_EQ(folder.config->at("num_layers"), 30);
  EXPECT_EQ(folder.scheduler_config->at("shift"), 3.0);
  EXPECT_EQ(folder.model_index->at("_class_name"), "WanPipeline");
  EXPECT_EQ(folder.text_encoder, root / "text_encoder");
  EXPECT_EQ(folder.codec, root / "codec");
}

TEST(CheckpointFolder, ForeignEncodersAndCodecsAreLeftOut) {
  const TempDir root;
  root.write("transformer/config.json", "{}");
  root.write("text_encoder/config.json", R"({"architectures":["UMT5EncoderModel"]})");
  root.write("codec/config.json", R"({"_class_name":"AutoencoderKLWan"})");
  const CheckpointFolder folder = open_checkpoint_folder(root.path());
  EXPECT_FALSE(folder.text_encoder || folder.codec || folder.transformer_2 || folder.model_index);
}

TEST(CheckpointFolder, TransformerFolderAndSingleFile) {
  const TempDir root;
  root.write("config.json", R"({"_class_name":"WanModel","dim":1536})");
  const auto file = root.write("diffusion_pytorch_model.safetensors", kEmptyWeights);
  for (const auto& path : {root.path(), file}) {
    const CheckpointFolder folder = open_checkpoint_folder(path);
    EXPECT_EQ(folder.transformer, path);
    EXPECT_EQ(folder.config->at("dim"), 1536);
    EXPECT_FALSE(folder.scheduler_config);
  }
}

TEST(CheckpointFolder, OriginalTwoExperts) {
  const TempDir root;
  root.write("configuration.json", "{}");
  root.write("high_noise_model/config.json", R"({"dim":5120})");
  root.write("low_noise_model/config.json", "{}");
  const CheckpointFolder folder = open_checkpoint_folder(root.path());
  EXPECT_EQ(folder.transformer, root / "high_noise_model");
  EXPECT_EQ(folder.transformer_2, root / "low_noise_model");
  EXPECT_EQ(folder.config->at("dim"), 5120);
}

TEST(CheckpointFolder, RefusesWithTheNameOfWhatIsWrong) {
  const TempDir root;
  const auto refusal = [](const std::filesystem::path& path) {
    return error_of(ErrorKind::kData, [&] { open_checkpoint_folder(path); });
  };
  EXPECT_THAT(refusal(root / "nowhere"), HasSubstr("nowhere"));
  EXPECT_THAT(refusal(root.path()), HasSubstr("found nothing"));
  root.write("notes.txt", "x");
  EXPECT_THAT(refusal(root.path()), HasSubstr("notes.txt"));
  root.write("model_index.json", "{}");
  EXPECT_THAT(refusal(root.path()), HasSubstr("transformer/"));
  root.write("model_index.json", "[]");
  EXPECT_THAT(refusal(root.path()), HasSubstr("model_index.json: expected a JSON object"));
  root.write("model_index.json", "{}");
  root.write("transformer/config.json", "{\"a\":1,}");
  EXPECT_THAT(refusal(root.path()), HasSubstr("transformer/config.json"));
}

// A checkpoint that another program wrote: three shards, bf16.
TEST(CheckpointFolder, TinyWan) {
  const CheckpointFolder folder =
      open_checkpoint_folder(std::filesystem::path(SPARSESCOPE_DATA) / "tiny-wan");
  EXPECT_TRUE(folder.text_encoder && folder.codec && folder.scheduler_config && folder.model_index);
  const StateDict weights = StateDict::open(folder.transformer);
  EXPECT_EQ(weights.files().size(), 3u);
  EXPECT_TRUE(weights.warnings().empty());
  const Json index =
      read_json_file(folder.transformer / "diffusion_pytorch_model.safetensors.index.json");
  EXPECT_EQ(weights.names().size(), index.at("weight_map").size());
  EXPECT_EQ(weights.total_bytes(), index.at("metadata").at("total_size").get<uint64_t>());
  EXPECT_EQ(weights.fetch("blocks.7.ffn.net.2.weight", {192, 768}).dtype, Dtype::kBF16);
}

}  // namespace
}  // namespace sparsescope
