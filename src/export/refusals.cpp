// Formats that are known and cannot be written from what a plan and a profile hold: each says what
// is missing, and where it would come from.
#include "core/error.h"
#include "export/export_format.h"

namespace sparsescope {

ExportDraft draft_modelopt_skip_softmax(const ExportInput&) {
  fail(ErrorKind::kUnsupported,
       "modelopt-skip-softmax: its threshold is fitted to counts of skippable key tiles at 20 "
       "thresholds, and profiles of version 1 hold no tile-skip counts");
}

ExportDraft draft_block_lists(const ExportInput&) {
  fail(ErrorKind::kUnsupported,
       "block-lists: lists of key tiles follow from q and k of each call, which a plan does not "
       "hold; attend --save-plan writes the lists of a captured call");
}

}  // namespace sparsescope
