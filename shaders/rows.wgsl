// What the row-wise kernels share: a workgroup of 64 invocations handles 64/LANES rows, LANES invocations a row.
// LANES is a power of two; 1 is the form for narrow rows, 64 for wide ones.

const GROUP: u32 = 64u;
override LANES: u32 = 8u;

var<workgroup> partial: array<f32, GROUP>;

fn row_index(local: u32, group: vec3<u32>, groups: vec3<u32>) -> u32 {
    return (group.y * groups.x + group.x) * (GROUP / LANES) + local / LANES;
}

// The sum over a row's lanes, for each of its lanes; a tree, so the order never changes.
fn row_sum(local: u32, x: f32) -> f32 {
    partial[local] = x;
    workgroupBarrier();
    for (var half = LANES / 2u; half > 0u; half /= 2u) {
        if (local % LANES < half) {
            partial[local] += partial[local + half];
        }
        workgroupBarrier();
    }
    let total = partial[local - local % LANES];
    // The next reduction writes partial: everyone must have read first.
    workgroupBarrier();
    return total;
}

fn row_max(local: u32, x: f32) -> f32 {
    partial[local] = x;
    workgroupBarrier();
    for (var half = LANES / 2u; half > 0u; half /= 2u) {
        if (local % LANES < half) {
            partial[local] = max(partial[local], partial[local + half]);
        }
        workgroupBarrier();
    }
    let largest = partial[local - local % LANES];
    workgroupBarrier();
    return largest;
}
