// The ledger of training, in f32:
// [0] the sum of the latest finite batch losses and [1] of those before: a sum of two levels, so that many small numbers
//     are not lost beside a large one; [2] the batches in [0];
// [3] the number of batches whose loss was not finite; [4] is 1 after an update that would have overflowed somewhere;
// [5] the loss since the last update, summed over micro-batches (`accumulate`): it stays non-finite once it is;
// [6] the number of updates refused because of that, which the optimisers do not count as steps;
// [7] the factor on the gradient's sums with which grad_norm clips.
// loss (rows); ledger (8); history (any): the batch's loss goes to its place `slot`. One workgroup, one fixed order.

@compute @workgroup_size(GROUP)
fn loss_sum(@builtin(local_invocation_index) local: u32) {
    var sum = 0.0;
    for (var r = local; r < params.rows; r += GROUP) {
        sum += loss[r];
    }
    let total = row_sum(local, sum);
    if (local == 0u) {
        record(total, params.slot, params.accumulate != 0u);
    }
}
