// y[e] = `rounds` times y <- factor * y + term, from y = x[e].  x, y (count), count a multiple of 16.
// No part of training: it measures how fast an adapter multiplies and adds when nothing else is in the way.

fn load(at: u32) -> vec4<f32> {
    return vec4<f32>(x[at], x[at + 1u], x[at + 2u], x[at + 3u]);
}

fn store(at: u32, v: vec4<f32>) {
    y[at] = v.x;
    y[at + 1u] = v.y;
    y[at + 2u] = v.z;
    y[at + 3u] = v.w;
}

@compute @workgroup_size(GROUP)
fn multiply_add(
    @builtin(local_invocation_index) local: u32,
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    let at = 16u * element_index(local, group, groups);
    if (at + 16u > params.count) {
        return;
    }
    let f = vec4<f32>(params.factor);
    let t = vec4<f32>(params.term);
    var a = load(at);
    var b = load(at + 4u);
    var c = load(at + 8u);
    var d = load(at + 12u);
    for (var i = 0u; i < params.rounds; i += 4u) {
        // Four rounds an iteration; four independent chains hide the latency of each.
        a = fma(a, f, t);
        b = fma(b, f, t);
        c = fma(c, f, t);
        d = fma(d, f, t);
        a = fma(a, f, t);
        b = fma(b, f, t);
        c = fma(c, f, t);
        d = fma(d, f, t);
        a = fma(a, f, t);
        b = fma(b, f, t);
        c = fma(c, f, t);
        d = fma(d, f, t);
        a = fma(a, f, t);
        b = fma(b, f, t);
        c = fma(c, f, t);
        d = fma(d, f, t);
    }
    store(at, a);
    store(at + 4u, b);
    store(at + 8u, c);
    store(at + 12u, d);
}
