// One row block against a list of key blocks, and the table of everything that an ISA's object file
// exports. Every function is a template on the ISA's Simd type, so that no two object files share
// one.
#pragma once

#include "kernels/cpu/gradients_body-inl.h"
#include "kernels/cpu/layout_body-inl.h"
#include "kernels/cpu/masses_body-inl.h"

namespace sparsescope::cpu {

template <class Simd>
void fill(float* values, int64_t count, float value) {
  for (int64_t i = 0; i < count; ++i) values[i] = value;
}

template <class Simd>
void reset(const RowTile& rows, int32_t head_dim) {
  fill<Simd>(rows.out_t, static_cast<int64_t>(head_dim) * rows.lanes, 0.0f);
  fill<Simd>(rows.row_max, rows.lanes, kNoMaximum);
  fill<Simd>(rows.row_sum, rows.lanes, 0.0f);
}

template <class Simd, int kWidth>
void reset_masses(MassTile& masses) {
  fill<Simd>(masses.entropy_sum, kWidth, 0.0f);
  fill<Simd>(masses.bins, static_cast<int64_t>(masses.num_bins) * kWidth, 0.0f);
  fill<Simd>(masses.epoch_max, kWidth, kNoMaximum);
  masses.num_epochs = 1;
}

// masses is null, and pieces with it, in the plain form.
template <class Simd, int kWidth, bool kWithMasses, class Output>
void attend_rows(const HeadKeys& keys, const KeyBlock* blocks, int32_t num_blocks,
                 const KeyPiece* pieces, const RowTile& rows, MassTile* masses,
                 const Output& output) {
  alignas(64) float block_max[kWidth];
  for (int32_t j = 0; j < num_blocks; ++j) {
    const KeyBlock& block = blocks[j];
    score_block<Simd, kWidth>(keys, block, rows, block_max);
    if (exceeds_threshold<Simd, kWidth>(block_max, rows.row_max)) {
      raise_maximum<Simd, kWidth>(block_max, rows, masses, output);
    }
    if constexpr (kWithMasses) {
      masses->epoch_of_block[j] = masses->num_epochs - 1;
      exponentiate_pieces<Simd, kWidth, false>(block, pieces, rows, *masses);
    } else {
      exponentiate<Simd, kWidth>(block.count, rows);
    }
    add_values(keys, block, blocks[j + 1 < num_blocks ? j + 1 : j], rows.scores, output);
  }
}

template <class Simd>
void attend(const HeadKeys& keys, const KeyBlock* blocks, int32_t num_blocks, const RowTile& rows) {
  with_lanes<Simd>(rows.lanes, [&]<int kWidth>() {
    attend_rows<Simd, kWidth, false>(keys, blocks, num_blocks, nullptr, rows, nullptr,
                                     ColumnOutput<Simd, kWidth>{rows.out_t, keys.head_dim});
  });
}

template <class Simd>
void attend_with_masses(const HeadKeys& keys, const KeyBlock* blocks, int32_t num_blocks,
                        const KeyPiece* pieces, const RowTile& rows, MassTile& masses) {
  attend_rows<Simd, 64, true>(keys, blocks, num_blocks, pieces, rows, &masses,
                              ColumnOutput<Simd, 64>{rows.out_t, keys.head_dim});
}

template <class Simd>
void attend_merged(const HeadKeys& keys, const KeyBlock* blocks, int32_t num_blocks,
                   const RowTile& rows, const MergedRows& merged, const int32_t* index,
                   int32_t num_rows) {
  load_merged<Simd>(merged, index, num_rows, rows);
  with_lanes<Simd>(rows.lanes, [&]<int kWidth>() {
    attend_rows<Simd, kWidth, false>(
        keys, blocks, num_blocks, nullptr, rows, nullptr,
        MergedOutput<Simd, kWidth>{merged, index, num_rows, keys.head_dim});
  });
  store_merged<Simd>(merged, index, num_rows, rows);
}

template <class Simd>
inline constexpr BlockKernels kBlockKernels{
    .isa = Simd::kName,
    .pack_rows = pack_rows<Simd>,
    .transpose_rows = transpose_rows<Simd>,
    .column_dots = column_dots<Simd>,
    .reset = reset<Simd>,
    .reset_masses = reset_masses<Simd, 64>,
    .attend = {.plain = attend<Simd>,
               .with_masses = attend_with_masses<Simd>,
               .merged = attend_merged<Simd>},
    .write_merged = write_merged<Simd>,
    .write_rows = write_rows<Simd>,
    .differentiate = differentiate<Simd>,
    .finish_masses = finish_masses<Simd, 64>,
};

}  // namespace sparsescope::cpu
