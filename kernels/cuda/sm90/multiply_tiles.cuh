// A warp group's way through the key tiles of its 64 rows. The softmax of a tile runs beside the
// product of the values of the one before.
#pragma once

#include "kernels/cuda/sm90/group_products.cuh"
#include "kernels/cuda/sm90/tile_ring.cuh"

namespace sparsescope::cuda::sm90 {

// From tile number tile on; returns the number behind the last. Walk has
//   look_up(tile)            reads what belongs to a tile that has arrived
//   is_last()                whether that tile is the rows' last one
//   soften(s, factor)        scores of that tile to probabilities, by WarpRows::exponentiate
//   begin_turn(), end_turn() around the start of products
template <typename Elem, int kHeadDim, int kStages, typename Walk>
__device__ int multiply_tiles(WarpRows<Elem, kHeadDim>& rows, TileRing<kHeadDim, kStages>& keys,
                              TileRing<kHeadDim, kStages>& values, int tile, int lane, Walk& walk) {
  float s[kOctets][4], factor[2];
  Probabilities p;

  uint32_t key_tile = keys.wait(tile);
  walk.look_up(tile);
  walk.begin_turn();
  begin_products(s, rows.query);
  start_scores<Elem>(s, rows.query, key_tile);
  walk.end_turn();
  wait_for_products<0>(s, rows.query);
  bool last = walk.is_last();
  if (lane == 0) keys.release(tile);
  walk.soften(s, factor);
  rows.rescale(factor);  // of what the rows held before
  pack_probabilities<Elem>(s, p);

  while (!last) {
    ++tile;
    key_tile = keys.wait(tile);
    const uint32_t value_tile = values.wait(tile - 1);
    walk.look_up(tile);
    walk.begin_turn();
    begin_products(s, rows.query, p, rows.out);
    start_scores<Elem>(s, rows.query, key_tile);
    start_outputs<Elem>(rows.out, p, value_tile);
    walk.end_turn();
    wait_for_products<1>(s, rows.query);
    last = walk.is_last();
    if (lane == 0) keys.release(tile);
    walk.soften(s, factor);
    finish_outputs(rows, factor, p);
    if (lane == 0) values.release(tile - 1);
    pack_probabilities<Elem>(s, p);
  }

  const uint32_t value_tile = values.wait(tile);
  begin_products(p, rows.out);
  start_outputs<Elem>(rows.out, p, value_tile);
  wait_for_products<0>(rows.out, p);
  if (lane == 0) values.release(tile);
  return tile + 1;
}

}  // namespace sparsescope::cuda::sm90
