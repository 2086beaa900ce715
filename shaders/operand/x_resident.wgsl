// Row r of the batch is row order[start + r] of a data set that is on the device: no batch is copied together.
// Its rows begin on words of 16 bytes: 4 elements as f32, 8 as f16, or 16 as u8 that `scale` multiplies.

alias InputWord = vec4<u32>;

fn x_four(r: u32, c: u32) -> vec4<f32> {
    let row = order[p.start + min(r, p.rows - 1u)];
    let column = min(c, p.inputs - 1u);
    var four = vec4<f32>();
    if (p.format == 1u) {
        four = bitcast<vec4<f32>>(x[row * ((p.inputs + 3u) / 4u) + column / 4u]);
    } else if (p.format == 2u) {
        let word = x[row * ((p.inputs + 7u) / 8u) + column / 8u];
        let half = select(word.xy, word.zw, (c & 4u) != 0u);
        four = vec4<f32>(unpack2x16float(half.x), unpack2x16float(half.y));
    } else {
        let word = x[row * ((p.inputs + 15u) / 16u) + column / 16u];
        let lower = select(word.x, word.y, (c & 4u) != 0u);
        let upper = select(word.z, word.w, (c & 4u) != 0u);
        let bytes = select(lower, upper, (c & 8u) != 0u);
        four = p.scale * vec4<f32>(
            f32(bytes & 255u), f32((bytes >> 8u) & 255u), f32((bytes >> 16u) & 255u), f32(bytes >> 24u));
    }
    return select(vec4<f32>(), four, (r < p.rows) & (c < p.inputs));
}
