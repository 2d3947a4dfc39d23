// SPDX-License-Identifier: MIT

/// Rows of history.
///
/// For each resolution and dimension there are `history:RESOLUTION:DIMENSION`, a sorted set of the starts of its stretches, and for each stretch
/// `history:RESOLUTION:DIMENSION:START`, tallies by subject and writer with U+0000 between, and `…:writers`, those who have written any of them.
extension RedisScript {
    /// ARGV: token. Laid ready are stretches: resolution and dimension as in the names, start, how many texts follow; then field, tally and writer of each row.
    /// Returns how many rows there were.
    static let writeHistory = RedisScript(guarded + """
        local list, at, count = p .. 'stage:' .. ARGV[1], 0, 0
        local total = redis.call('LLEN', list)
        while at < total do
            local head = redis.call('LRANGE', list, at, at + 2)
            at = at + 3
            local index = p .. 'history:' .. head[1]
            local name, writers, last = index .. ':' .. head[2], {}, at + tonumber(head[3])
            redis.call('ZADD', index, head[2], head[2])
            while at < last do
                local items = redis.call('LRANGE', list, at, math.min(at + 2999, last - 1))
                local pairs = {}
                for i = 1, #items, 3 do
                    pairs[#pairs + 1] = items[i]
                    pairs[#pairs + 1] = items[i + 1]
                    if not writers[items[i + 2]] then
                        writers[items[i + 2]] = true
                        redis.call('SADD', name .. ':writers', items[i + 2])
                    end
                end
                redis.call('HSET', name, unpack(pairs))
                count = count + #items / 3
                at = at + #items
            end
        end
        redis.call('DEL', list)
        return count
        """)

    /// ARGV: resolution and dimension as in the names, first start, start of the first stretch that does not count, subject or nothing, 1 where there is one.
    /// Returns where to go on or nothing, then start, and fields and tallies in turn, of each stretch; so many as do not hold up others for long.
    static let history = RedisScript(guarded + """
        local index, subject = p .. 'history:' .. ARGV[1], ARGV[4]
        local out, left = {false}, 10000
        for _, start in ipairs(redis.call('ZRANGEBYSCORE', index, ARGV[2], '(' .. ARGV[3], 'LIMIT', 0, 1001)) do
            if left <= 0 or #out > 2000 then
                out[1] = start
                break
            end
            local name, found = index .. ':' .. start
            if ARGV[5] == '1' then
                found = {}
                for _, writer in ipairs(redis.call('SMEMBERS', name .. ':writers')) do
                    local field = subject .. '\\0' .. writer
                    local tally = redis.call('HGET', name, field)
                    if tally then
                        found[#found + 1] = field
                        found[#found + 1] = tally
                    end
                end
            else
                found = redis.call('HGETALL', name)
            end
            out[#out + 1] = start
            out[#out + 1] = found
            left = left - #found / 2
        end
        return out
        """)

    /// ARGV: end, then resolution and dimension as in the names, of each. Forgets up to 100 stretches that begin before the end, and returns how many.
    static let deleteSomeHistory = RedisScript(guarded + """
        local count = 0
        for i = 2, #ARGV do
            local index = p .. 'history:' .. ARGV[i]
            for _, start in ipairs(redis.call('ZRANGEBYSCORE', index, '-inf', '(' .. ARGV[1], 'LIMIT', 0, 100 - count)) do
                redis.call('UNLINK', index .. ':' .. start, index .. ':' .. start .. ':writers')
                redis.call('ZREM', index, start)
                count = count + 1
            end
        end
        return count
        """)

    /// ARGV: start, then resolution and dimension as in the names, of each. Returns the first start after that, or nothing.
    static let historyStart = RedisScript(guarded + """
        local first
        for i = 2, #ARGV do
            local start = redis.call('ZRANGEBYSCORE', p .. 'history:' .. ARGV[i], '(' .. ARGV[1], '+inf', 'LIMIT', 0, 1)[1]
            if start and (not first or tonumber(start) < tonumber(first)) then first = start end
        end
        return first or false
        """)
}
