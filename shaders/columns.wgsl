// What the column-wise kernels share: a workgroup of 256 invocations handles 16 columns, so that neighbours read neighbours, and 16
// invocations a column, each with every 16th row.

const GROUP: u32 = 256u;
const ACROSS: u32 = 16u;
const DOWN: u32 = 16u;

var<workgroup> partial: array<f32, GROUP>;

fn column_index(local: u32, group: vec3<u32>, groups: vec3<u32>) -> u32 {
    return (group.y * groups.x + group.x) * ACROSS + local % ACROSS;
}

fn first_row(local: u32) -> u32 {
    return local / ACROSS;
}

// The sum over a column's invocations, for each of them; a tree, so the order never changes.
fn column_sum(local: u32, x: f32) -> f32 {
    partial[local] = x;
    workgroupBarrier();
    for (var half = GROUP / 2u; half >= ACROSS; half /= 2u) {
        if (local < half) {
            partial[local] += partial[local + half];
        }
        workgroupBarrier();
    }
    let total = partial[local % ACROSS];
    // The next sum writes partial: everyone must have read first.
    workgroupBarrier();
    return total;
}
