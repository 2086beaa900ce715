// The ledger's entries for a batch: see loss_sum.wgsl for what each word is.
fn record(total: f32, slot: u32, accumulate: bool) {
    history[slot] = total;
    if (is_finite(total) && is_finite(ledger[0] + total)) {
        ledger[0] += total;
        ledger[2] += 1.0;
        if (ledger[2] >= 512.0) {
            ledger[1] += ledger[0];
            ledger[0] = 0.0;
            ledger[2] = 0.0;
        }
    } else {
        ledger[3] += 1.0;
    }
    var window = total;
    if (accumulate) {
        window += ledger[5];
    } else if (!is_finite(ledger[5])) {
        ledger[6] += 1.0;
    }
    ledger[5] = window;
}
