// Streamed blocks: the right weights in any order of visits, fetched ahead, and errors of the
// background load where the block is asked for. On the host; a GPU differs by where the copies go.
#include "model/block_store.h"

#include <gtest/gtest.h>

#include <atomic>
#include <set>

#include "core/error.h"
#include "model/detect.h"
#include "model/wan_schema.h"

namespace sparsescope {
namespace {

class BlockStoreTest : public ::testing::Test {
 protected:
  BlockStoreTest() {
    const CheckpointFolder folder = open_checkpoint_folder(SPARSESCOPE_DATA "/tiny-wan");
    DetectedModel model = detect_model(folder, StateDict::open(folder.transformer));
    config_ = model.config;
    weights_.emplace(std::move(model.weights));
  }

  WeightMap load(int64_t layer) const {
    return WeightMap::load(*weights_, wan_block_specs(config_), wan_block_prefix(layer), at::kFloat);
  }

  void expect_layer(BlockStore& store, int64_t layer) const {
    const at::Tensor expected = load(layer).at("attn1.to_q.weight");
    const bool same = store.with(layer, [&](const WeightMap& found) {
      return at::equal(found.at("attn1.to_q.weight"), expected);
    });
    EXPECT_TRUE(same) << "layer " << layer;
  }

  WanConfig config_;
  std::optional<StateDict> weights_;
};

TEST_F(BlockStoreTest, EveryVisitSeesItsOwnWeights) {
  for (const bool prefetch : {false, true}) {
    for (const int64_t resident : {int64_t{0}, int64_t{1}, config_.layers - 1, config_.layers}) {
      BlockStore store([this](int64_t layer) { return load(layer); }, config_.layers, resident,
                       at::kCPU, prefetch);
      for (int pass = 0; pass < 2; ++pass) {
        for (int64_t layer = 0; layer < config_.layers; ++layer) expect_layer(store, layer);
      }
      for (int64_t layer = config_.layers - 1; layer >= 0; --layer) expect_layer(store, layer);
      for (int64_t layer = 0; layer < config_.layers; ++layer) expect_layer(store, layer);
    }
  }
}

TEST_F(BlockStoreTest, ABlockIsFetchedOnceAPass) {
  std::atomic<int> loads = 0;
  {
    BlockStore store(
        [&](int64_t layer) {
          ++loads;
          return load(layer);
        },
        config_.layers, 1, at::kCPU, true);
    for (int pass = 0; pass < 3; ++pass) {
      for (int64_t layer = 0; layer < config_.layers; ++layer) expect_layer(store, layer);
    }
  }
  const auto streamed = static_cast<int>(config_.layers - 1);
  // Where two blocks are streamed, both stay. The last visit starts the fetch for a next pass.
  EXPECT_EQ(loads, 1 + (streamed <= 2 ? streamed : 3 * streamed + 1));
}

TEST_F(BlockStoreTest, AFailedLoadIsReportedAndTriedAgain) {
  std::atomic<bool> fails = false;
  BlockStore store(
      [&](int64_t layer) {
        if (fails && layer == 2) fail(ErrorKind::kData, "layer 2 is broken");
        return load(layer);
      },
      config_.layers, 0, at::kCPU, true);
  fails = true;
  expect_layer(store, 0);
  expect_layer(store, 1);
  EXPECT_THROW(expect_layer(store, 2), Error);
  fails = false;
  expect_layer(store, 2);
}

}  // namespace
}  // namespace sparsescope
