// How alike the queries of a window are, against the window's size: the premise under which one
// query may stand for its window. For each of query_windows: mean of cos(q_r, q_centre) over the
// rows r of all windows but their centres. Every tile is cut into windows from its first corner,
// the last ones along an axis clipped; the centre is floor(extent / 2) along each clipped axis.
#pragma once

#include <optional>

#include "capture/call_layout.h"
#include "capture/site_statistics.h"
#include "core/tensor_view.h"
#include "core/thread_pool.h"
#include "kernels/row_stats.h"

namespace sparsescope {

// window_cosine [H, window] of batch entry 0, from one pass over the queries; none where a tile is
// a single token. Norms are floored at 1e-12.
std::optional<StatArray> window_cosine(const AttentionTensor& q, const CallLayout& layout,
                                       const RowStatsKernels& kernels, ThreadPool& pool);

}  // namespace sparsescope
