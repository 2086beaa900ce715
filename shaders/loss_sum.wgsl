// ledger: [0] the sum of all finite batch losses, [1] the number of batches whose loss was not finite,
// [2] the loss since the last update, summed over micro-batches (`accumulate`); it stays non-finite once it is,
// [3] the number of updates that were refused because of that, so that the optimisers do not count them as steps.
// loss (rows); ledger (4). One workgroup, one fixed order.

struct Params {
    rows: u32,
    accumulate: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> loss: array<f32>;
@group(0) @binding(2) var<storage, read_write> ledger: array<f32>;

@compute @workgroup_size(GROUP)
fn loss_sum(@builtin(local_invocation_index) local: u32) {
    var sum = 0.0;
    for (var r = local; r < params.rows; r += GROUP) {
        sum += loss[r];
    }
    let total = row_sum(local, sum);
    if (local == 0u) {
        if (is_finite(total)) {
            ledger[0] += total;
        } else {
            ledger[1] += 1.0;
        }
        var window = total;
        if (params.accumulate != 0u) {
            window += ledger[2];
        } else if (!is_finite(ledger[2])) {
            ledger[3] += 1.0;
        }
        ledger[2] = window;
    }
}
