// The query side of BSA: which queries of each tile are kept, the mean of those, and which kept
// query gives each pruned one its output.
#pragma once

#include <cstdint>

#include "core/tensor_view.h"
#include "kernels/cuda/select_layout.h"

namespace sparsescope::cuda {

// A slot of a tile, the same for all tiles of one shape.
struct QuerySlot {
  int32_t window = 0;     // it competes with the slots of the same window
  int32_t quota = 0;      // of its window
  int32_t reference = 0;  // the slot that it is compared with
};

enum class RestoreRule { kSimilar, kCentre, kNearest, kZero };

struct QuerySelect {
  AttentionTensor q;  // [B, H, S, D] on the device
  SelectPlanes planes;
  SelectLayout layout;
  const QuerySlot* slots = nullptr;        // [shapes, max_slots]
  const int32_t* shape_of_tile = nullptr;  // [N]
  const int32_t* first_kept = nullptr;     // [N + 1] within a plane; follows from the quotas
  int32_t max_slots = 0;                   // of a tile
  int32_t kept_queries = 0;                // of a plane
  bool keep_reference = true;
  RestoreRule restore = RestoreRule::kSimilar;  // kCentre needs keep_reference
  int32_t prefix = 0;                           // text tokens before the video
  int32_t* rows = nullptr;          // [planes, kept_queries] tokens, ascending slots in a tile
  float* means = nullptr;           // [planes, N, padded_dim] of the kept queries
  int32_t* restore_from = nullptr;  // [planes, video_tokens] as in BlockLists
  // RowCopies of the same: [planes * kept_queries + 1], [planes, video_tokens - kept_queries]. Null
  // where pruned queries have no source (kZero).
  int32_t* first_copy = nullptr;
  int32_t* copy_tokens = nullptr;
};
void select_queries(const QuerySelect& call);

// Bytes of shared memory that a tile takes, at most kSelectSharedBytes.
int64_t query_select_bytes(int32_t max_slots, int64_t head_dim);

}  // namespace sparsescope::cuda
