// Prompt files, the word-embedding text encoder, embedding files and the linear codec.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "model/codec.h"
#include "model/prompts.h"
#include "support/near.h"
#include "support/temp_dir.h"
#include "unit/model/model_test_support.h"

namespace sparsescope::testing {
namespace {

using ::testing::AllOf;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

const std::filesystem::path kTinyWan = std::filesystem::path(SPARSESCOPE_DATA) / "tiny-wan";

TEST(PromptFiles, SkipCommentsAndBlankLines) {
  TempDir dir;
  const auto file = dir.write("prompts.txt", "# a comment\n\n a red disc \r\n  # another\nplain");
  EXPECT_THAT(read_prompt_file(file), ElementsAre("a red disc", "plain"));
  EXPECT_EQ(error_of([&] { read_prompt_file(dir.write("empty.txt", "# only\n")); }).kind(),
            ErrorKind::kData);
  EXPECT_EQ(error_of([&] { read_prompt_file(dir / "missing.txt"); }).kind(), ErrorKind::kData);
}

TEST(WordEmbedding, AddsWordAndPlace) {
  const CheckpointFolder folder = open_checkpoint_folder(kTinyWan);
  const PromptSet set = encode_prompts(folder, {"a red disc"});
  const Tensors tables = read_tensors(kTinyWan / "text_encoder" / "model.safetensors");
  const std::vector<size_t> words = {23, 6, 2, 1};  // of vocabulary.json; 1 is <end>
  ASSERT_EQ(set.conditional.at(0).shape, (std::vector<int64_t>{1, 16, 64}));
  std::vector<float> expected(16 * 64, 0.0f);
  for (size_t place = 0; place < words.size(); ++place) {
    for (size_t c = 0; c < 64; ++c) {
      expected[place * 64 + c] = tables.at("embedding").values[words[place] * 64 + c] +
                                 tables.at("position").values[place * 64 + c];
    }
  }
  EXPECT_EQ(set.conditional[0].values, expected);
  EXPECT_EQ(set.unconditional.at(0).shape, set.conditional[0].shape);
  EXPECT_THAT(set.unconditional[0].values, Each(0.0f));
  EXPECT_THAT(set.names, ElementsAre("a red disc"));
}

TEST(WordEmbedding, EncodesEveryShippedPrompt) {
  const CheckpointFolder folder = open_checkpoint_folder(kTinyWan);
  for (const char* name : {"calibration.txt", "heldout.txt"}) {
    const auto prompts = read_prompt_file(kTinyWan / "prompts" / name);
    EXPECT_EQ(encode_prompts(folder, prompts).conditional.size(), prompts.size());
  }
}

TEST(WordEmbedding, RefusesUnknownWordsAndLongPrompts) {
  const CheckpointFolder folder = open_checkpoint_folder(kTinyWan);
  const Error word = error_of([&] { encode_prompts(folder, {"a purple disc"}); });
  EXPECT_EQ(word.kind(), ErrorKind::kData);
  EXPECT_THAT(word.what(), AllOf(HasSubstr("\"purple\""), HasSubstr("vocabulary.json")));
  const Error length =
      error_of([&] { encode_prompts(folder, {"a a a a a a a a a a a a a a a a"}); });
  EXPECT_EQ(length.kind(), ErrorKind::kData);
  EXPECT_THAT(length.what(), AllOf(HasSubstr("15"), HasSubstr("16")));
  CheckpointFolder none = folder;
  none.text_encoder.reset();
  const Error encoder = error_of([&] { encode_prompts(none, {"a"}); });
  EXPECT_EQ(encoder.kind(), ErrorKind::kUnsupported);
  EXPECT_THAT(encoder.what(), HasSubstr("--text-embeds"));
}

TEST(EmbeddingFiles, AreUsedAsGiven) {
  TempDir dir;
  const HostTensor prompts{{2, 1, 3}, {1, 2, 3, 4, 5, 6}};
  const HostTensor negative{{1, 2, 3}, {7, 8, 9, 10, 11, 12}};
  write_tensors(dir / "a.safetensors",
                {{"prompt_embeds", prompts}, {"negative_prompt_embeds", negative}});
  const PromptSet set = read_prompt_embeds(dir / "a.safetensors", true);
  ASSERT_EQ(set.conditional.size(), 2u);
  EXPECT_EQ(set.conditional[1].shape, (std::vector<int64_t>{1, 1, 3}));
  EXPECT_THAT(set.conditional[1].values, ElementsAre(4, 5, 6));
  ASSERT_EQ(set.unconditional.size(), 2u);  // one negative serves all
  EXPECT_EQ(set.unconditional[0].values, negative.values);
  EXPECT_EQ(set.unconditional[1].values, negative.values);
  EXPECT_THAT(set.names, ElementsAre("embedding 0", "embedding 1"));
  EXPECT_TRUE(read_prompt_embeds(dir / "a.safetensors", false).unconditional.empty());

  write_tensors(dir / "b.safetensors", {{"prompt_embeds", prompts}});
  const Error missing = error_of([&] { read_prompt_embeds(dir / "b.safetensors", true); });
  EXPECT_EQ(missing.kind(), ErrorKind::kData);
  EXPECT_THAT(missing.what(), HasSubstr("negative_prompt_embeds"));
  write_tensors(dir / "c.safetensors", {{"prompt_embeds", {{2, 3}, prompts.values}}});
  EXPECT_EQ(error_of([&] { read_prompt_embeds(dir / "c.safetensors", false); }).kind(),
            ErrorKind::kData);
}

class Codec : public ::testing::Test {
 protected:
  Tensors maps_ = read_tensors(kTinyWan / "codec" / "model.safetensors");
  LinearCodec codec_ = LinearCodec::open(kTinyWan / "codec");
  HostTensor latents_ = filled_input("latents", {1, 16, 2, 3, 5});
};

// p = (z * std) @ basis + mean, 48 values in the order (channel, dy, dx), pixel by pixel in double.
TEST_F(Codec, DecodesByTheFormula) {
  const HostTensor video = codec_.decode(latents_);
  ASSERT_EQ(video.shape, (std::vector<int64_t>{2, 3, 12, 20}));
  std::vector<double> expected;
  for (size_t f = 0; f < 2; ++f) {
    for (size_t channel = 0; channel < 3; ++channel) {
      for (size_t row = 0; row < 12; ++row) {
        for (size_t column = 0; column < 20; ++column) {
          const size_t j = channel * 16 + row % 4 * 4 + column % 4;
          double p = maps_.at("mean").values[j];
          for (size_t c = 0; c < 16; ++c) {
            const size_t at = ((c * 2 + f) * 3 + row / 4) * 5 + column / 4;
            p += static_cast<double>(latents_.values[at]) * maps_.at("std").values[c] *
                 maps_.at("basis").values[c * 48 + j];
          }
          expected.push_back(p);
        }
      }
    }
  }
  EXPECT_TRUE(near(video.values, expected, {.max_abs = 1e-6}));
}

// The basis is orthonormal, so encoding undoes decoding; and a decoded video is a fixed point.
TEST_F(Codec, EncodingUndoesDecoding) {
  const HostTensor video = codec_.decode(latents_);
  const HostTensor again = codec_.encode(video);
  EXPECT_TRUE(near(again.shape, again.values, latents_.shape, latents_.values, {.max_abs = 1e-4}));
  EXPECT_TRUE(near(codec_.decode(again).values, video.values, {.max_abs = 1e-4}));
}

TEST_F(Codec, RefusesOtherShapes) {
  EXPECT_EQ(error_of([&] {
              codec_.decode(HostTensor::zeros({1, 15, 2, 3, 5}));
            }).kind(),
            ErrorKind::kUsage);
  EXPECT_EQ(error_of([&] {
              codec_.encode(HostTensor::zeros({2, 3, 10, 20}));
            }).kind(),
            ErrorKind::kUsage);
}

}  // namespace
}  // namespace sparsescope::testing
