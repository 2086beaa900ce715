// Threefry-2x32 with 20 rounds (Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", 2011): random
// words from a key and a counter, the same on every device.

fn threefry_round(x: vec2<u32>, by: u32) -> vec2<u32> {
    let sum = x.x + x.y;
    return vec2<u32>(sum, ((x.y << by) | (x.y >> (32u - by))) ^ sum);
}

fn threefry_even(x: vec2<u32>) -> vec2<u32> {
    return threefry_round(threefry_round(threefry_round(threefry_round(x, 13u), 15u), 26u), 6u);
}

fn threefry_odd(x: vec2<u32>) -> vec2<u32> {
    return threefry_round(threefry_round(threefry_round(threefry_round(x, 17u), 29u), 16u), 24u);
}

fn threefry(key: vec2<u32>, counter: vec2<u32>) -> vec2<u32> {
    let third = key.x ^ key.y ^ 0x1bd11bdau;
    var x = counter + key;
    x = threefry_even(x) + vec2<u32>(key.y, third + 1u);
    x = threefry_odd(x) + vec2<u32>(third, key.x + 2u);
    x = threefry_even(x) + vec2<u32>(key.x, key.y + 3u);
    x = threefry_odd(x) + vec2<u32>(key.y, third + 4u);
    return threefry_even(x) + vec2<u32>(third, key.x + 5u);
}
