// A workgroup of TX x TY invocations computes a tile of 8 TY x 8 TX elements, each invocation 8 x 8 of them in registers, as in
// tiles_8x8. Two slices of k lie in workgroup memory: while one is multiplied, every invocation loads its share of the next into
// registers, and stores it in the other when that is done. So memory works while the arithmetic does, and a slice takes one barrier.

// What of k a slice has.
const SLICE: u32 = 16u;

override TX: u32 = 16u;
override TY: u32 = 8u;

// One vec4 more a row, so that neighbouring rows begin in other memory banks.
var<workgroup> slices_a: array<vec4<f32>, 2u * SLICE * (2u * TY + 1u)>;
var<workgroup> slices_b: array<vec4<f32>, 2u * SLICE * (2u * TX + 1u)>;

struct Quarters {
    upper_left: mat4x4<f32>,
    upper_right: mat4x4<f32>,
    lower_left: mat4x4<f32>,
    lower_right: mat4x4<f32>,
}

// Blocks of 4 x 4 along k in a slice.
const DEEP: u32 = SLICE / 4u;

// Where block `number` of A's part of a slice lies, in blocks along m and along k: neighbours along k first where they are
// neighbours in memory.
fn place_a(number: u32) -> vec2<u32> {
    return select(
        vec2<u32>(number % (2u * TY), number / (2u * TY)),
        vec2<u32>(number / DEEP, number % DEEP),
        A_ALONG_K);
}

fn place_b(number: u32) -> vec2<u32> {
    return select(
        vec2<u32>(number % (2u * TX), number / (2u * TX)),
        vec2<u32>(number / DEEP, number % DEEP),
        B_ALONG_K);
}

// Block `number` of the slice that begins at k: first those of A, then those of B.
fn load_block(number: u32, m: u32, n: u32, k: u32) -> mat4x4<f32> {
    var block = mat4x4<f32>();
    if (number < 2u * TY * DEEP) {
        let place = place_a(number);
        block = block_a(m + 4u * place.x, k + 4u * place.y);
    } else if (number < 2u * (TX + TY) * DEEP) {
        let place = place_b(number - 2u * TY * DEEP);
        block = block_b(k + 4u * place.y, n + 4u * place.x);
    }
    return block;
}

// Puts it into slice `to` of the two.
fn store_block(number: u32, to: u32, block: mat4x4<f32>) {
    if (number < 2u * TY * DEEP) {
        let place = place_a(number);
        let at = (to * SLICE + 4u * place.y) * (2u * TY + 1u) + place.x;
        slices_a[at] = block[0];
        slices_a[at + (2u * TY + 1u)] = block[1];
        slices_a[at + 2u * (2u * TY + 1u)] = block[2];
        slices_a[at + 3u * (2u * TY + 1u)] = block[3];
    } else if (number < 2u * (TX + TY) * DEEP) {
        let place = place_b(number - 2u * TY * DEEP);
        let at = (to * SLICE + 4u * place.y) * (2u * TX + 1u) + place.x;
        slices_b[at] = block[0];
        slices_b[at + (2u * TX + 1u)] = block[1];
        slices_b[at + 2u * (2u * TX + 1u)] = block[2];
        slices_b[at + 3u * (2u * TX + 1u)] = block[3];
    }
}

fn multiply(group: vec3<u32>, groups: vec3<u32>, local: vec3<u32>) {
    let index = local.y * TX + local.x;
    let m = group.y * TY * 8u;
    let n = group.x * TX * 8u;
    let range = k_range(group.z, groups.z);
    var c = Quarters(mat4x4<f32>(), mat4x4<f32>(), mat4x4<f32>(), mat4x4<f32>());
    var upper_sum = vec4<f32>();
    var lower_sum = vec4<f32>();
    // An invocation has a block or two of each slice.
    store_block(index, 0u, load_block(index, m, n, range.x));
    store_block(index + TX * TY, 0u, load_block(index + TX * TY, m, n, range.x));
    workgroupBarrier();
    var now = 0u;
    for (var k = range.x; k < range.y; k += SLICE) {
        // Behind the last slice these are not looked at.
        let first = load_block(index, m, n, k + SLICE);
        let second = load_block(index + TX * TY, m, n, k + SLICE);
        for (var s = now * SLICE; s < (now + 1u) * SLICE; s += 8u) {
            // Unrolled in the text: naga passes no unroll hint on, and lavapipe stops after 65,535 iterations.
            c = tile_step(c, local, s);
            c = tile_step(c, local, s + 1u);
            c = tile_step(c, local, s + 2u);
            c = tile_step(c, local, s + 3u);
            c = tile_step(c, local, s + 4u);
            c = tile_step(c, local, s + 5u);
            c = tile_step(c, local, s + 6u);
            c = tile_step(c, local, s + 7u);
            // One invocation a row of A sums it.
            if (SUM_A && group.x == 0u && local.x == 0u) {
                upper_sum += four_columns(s, local.y) + four_columns(s + 4u, local.y);
                lower_sum += four_columns(s, TY + local.y) + four_columns(s + 4u, TY + local.y);
            }
        }
        // Everyone was done with this one before the last barrier.
        now = 1u - now;
        store_block(index, now, first);
        store_block(index + TX * TY, now, second);
        workgroupBarrier();
    }
    let upper = m + 4u * local.y;
    let left = n + 4u * local.x;
    finish_block(upper, left, c.upper_left);
    finish_block(upper, left + 4u * TX, c.upper_right);
    finish_block(upper + 4u * TY, left, c.lower_left);
    finish_block(upper + 4u * TY, left + 4u * TX, c.lower_right);
    if (group.x == 0u && local.x == 0u) {
        finish_sum(upper, upper_sum);
        finish_sum(upper + 4u * TY, lower_sum);
    }
}

// Adds what place k of the two slices has.
fn tile_step(c: Quarters, local: vec3<u32>, k: u32) -> Quarters {
    let upper = slices_a[k * (2u * TY + 1u) + local.y];
    let lower = slices_a[k * (2u * TY + 1u) + TY + local.y];
    let left = slices_b[k * (2u * TX + 1u) + local.x];
    let right = slices_b[k * (2u * TX + 1u) + TX + local.x];
    return Quarters(
        outer(c.upper_left, upper, left),
        outer(c.upper_right, upper, right),
        outer(c.lower_left, lower, left),
        outer(c.lower_right, lower, right));
}

// Four neighbours along k, summed.
fn four_columns(k: u32, column: u32) -> vec4<f32> {
    let at = k * (2u * TY + 1u) + column;
    return (slices_a[at] + slices_a[at + (2u * TY + 1u)])
        + (slices_a[at + 2u * (2u * TY + 1u)] + slices_a[at + 3u * (2u * TY + 1u)]);
}
