// SPDX-License-Identifier: MIT

/// What a Redis store does, each as one step of the server. `KEYS[1]` is the prefix of all names.
///
/// Numbers that grow (epochs, tickets) begin with the server's time in microseconds, so that none comes twice when a Redis comes back empty. They stay
/// below 2^53, which Lua's numbers hold exactly; they are written with `%.0f`, because Lua would write them rounded. Whatever is larger is text.
extension RedisScript {
    /// What all scripts begin with.
    private static let prelude = """
        local p = KEYS[1]
        local meta = p .. 'meta'
        local function text(n) return string.format('%.0f', n) end
        local function present()
            local t = redis.call('TIME')
            return text(t[1] * 1000000 + t[2])
        end
        local function counter(name)
            local v = redis.call('HGET', meta, name)
            if v then return v end
            v = present()
            redis.call('HSET', meta, name, v, 'origin_' .. name, v)
            return v
        end
        local function raise(name)
            counter(name)
            return text(redis.call('HINCRBY', meta, name, 1))
        end
        local function news() redis.call('PUBLISH', p .. 'news', '') end
        local function changed(subject, writer)
            local r = raise('catalogue')
            redis.call('ZADD', p .. 'changes', r, r .. ':' .. subject .. ':' .. writer)
            redis.call('ZREMRANGEBYRANK', p .. 'changes', 0, -10001)
            news()
        end
        local function each(items, body)
            for first = 1, #items, 2000 do body(unpack(items, first, math.min(first + 1999, #items))) end
        end
        local function values(hash, fields)
            local out = {}
            each(fields, function(...) for _, v in ipairs(redis.call('HMGET', hash, ...)) do out[#out + 1] = v end end)
            return out
        end
        local function clear(service)
            local ids = redis.call('HKEYS', p .. 'keys:' .. service)
            for _, hash in ipairs({'owner', 'standing', 'successes', 'failures', 'used'}) do
                each(ids, function(...) redis.call('HDEL', p .. hash, ...) end)
            end
            each(ids, function(...) redis.call('ZREM', p .. 'told', ...) end)
            for _, hash in ipairs({'keys:', 'infos:', 'attributes:', 'digests:', 'digest-of:'}) do redis.call('DEL', p .. hash .. service) end
            return #ids
        end

        """

    /// Refuses to take an empty database, or one of an older version, for this version's catalogue.
    static let guarded = prelude + """
        if tonumber(redis.call('HGET', meta, 'schema') or '0') < \(RedisStore.schema) then return redis.error_reply('ROTATORNONE there is no catalogue here') end

        """

    /// What changes services and keys, one by one and in lists.
    static let keyPrelude = """
        local function writeService(id, slug, document, headers)
            local old = redis.call('HGET', p .. 'slug-of', id)
            if old and old ~= slug then redis.call('HDEL', p .. 'slugs', old) end
            redis.call('HSET', p .. 'slugs', slug, id)
            redis.call('HSET', p .. 'slug-of', id, slug)
            redis.call('HSET', p .. 'services', id, document)
            redis.call('HSET', p .. 'headers', id, headers)
        end
        local function writeAttributes(service, id, attributes)
            if attributes == '{}' then
                redis.call('HDEL', p .. 'attributes:' .. service, id)
            else
                redis.call('HSET', p .. 'attributes:' .. service, id, attributes)
            end
        end
        local function insertKeys(service, list)
            local digests, out, isAny = p .. 'digests:' .. service, {}, false
            for first = 0, redis.call('LLEN', list) - 1, 4000 do
                local items = redis.call('LRANGE', list, first, first + 3999)
                for i = 1, #items, 5 do
                    local isKnown = false
                    for d = 1, #items[i + 1], 32 do
                        if redis.call('HEXISTS', digests, string.sub(items[i + 1], d, d + 31)) == 1 then isKnown = true end
                    end
                    if isKnown then
                        out[#out + 1] = 0
                    else
                        local digest = string.sub(items[i + 1], 1, 32)
                        redis.call('HSET', digests, digest, items[i])
                        redis.call('HSET', p .. 'digest-of:' .. service, items[i], digest)
                        redis.call('HSET', p .. 'keys:' .. service, items[i], items[i + 2])
                        redis.call('HSET', p .. 'infos:' .. service, items[i], items[i + 3])
                        if items[i + 4] ~= '{}' then writeAttributes(service, items[i], items[i + 4]) end
                        redis.call('HSET', p .. 'owner', items[i], service)
                        out[#out + 1] = 1
                        isAny = true
                    end
                end
            end
            redis.call('DEL', list)
            return out, isAny
        end
        local function updateKey(id, info, attributes)
            local service = redis.call('HGET', p .. 'owner', id)
            if not service then return nil end
            redis.call('HSET', p .. 'infos:' .. service, id, info)
            writeAttributes(service, id, attributes)
            return service
        end
        local function deleteService(id)
            clear(id)
            redis.call('HDEL', p .. 'slugs', redis.call('HGET', p .. 'slug-of', id))
            for _, hash in ipairs({'slug-of', 'services', 'headers', 'tickets'}) do redis.call('HDEL', p .. hash, id) end
        end
        local function deleteKeys(service, wanted)
            local ids, digests, isTaken = {}, {}, {}
            each(wanted, function(...)
                for i, owner in ipairs(redis.call('HMGET', p .. 'owner', ...)) do
                    local id = select(i, ...)
                    if owner == service and not isTaken[id] then
                        isTaken[id] = true
                        ids[#ids + 1] = id
                    end
                end
            end)
            for _, digest in ipairs(values(p .. 'digest-of:' .. service, ids)) do digests[#digests + 1] = digest or nil end
            each(digests, function(...) redis.call('HDEL', p .. 'digests:' .. service, ...) end)
            for _, hash in ipairs({'digest-of:', 'keys:', 'infos:', 'attributes:'}) do
                each(ids, function(...) redis.call('HDEL', p .. hash .. service, ...) end)
            end
            for _, hash in ipairs({'owner', 'standing', 'successes', 'failures', 'used'}) do
                each(ids, function(...) redis.call('HDEL', p .. hash, ...) end)
            end
            each(ids, function(...) redis.call('ZREM', p .. 'told', ...) end)
            return #ids
        end

        """

    // MARK: Life

    /// ARGV: schema, sealed check value. Returns both as they are then.
    static let migrate = RedisScript(prelude + """
        if redis.call('HSETNX', meta, 'schema', ARGV[1]) == 1 then redis.call('HSET', meta, 'check', ARGV[2]) end
        if tonumber(redis.call('HGET', meta, 'schema')) < tonumber(ARGV[1]) then redis.call('HSET', meta, 'schema', ARGV[1]) end
        counter('catalogue')
        counter('standings')
        return {redis.call('HGET', meta, 'schema'), redis.call('HGET', meta, 'check')}
        """)

    static let ping = RedisScript(guarded + "return 1")

    // MARK: Services

    /// Returns ids, slugs, documents and sealed headers, each as an array.
    static let services = RedisScript(guarded + """
        local ids = redis.call('HKEYS', p .. 'services')
        return {ids, values(p .. 'slug-of', ids), values(p .. 'services', ids), values(p .. 'headers', ids)}
        """)

    /// ARGV: name of a counter, how many. Returns the last of as many new numbers.
    static let numbers = RedisScript(guarded + "return text(redis.call('HINCRBY', meta, ARGV[1], ARGV[2]))")

    /// ARGV: id, slug, document, sealed headers, writer, 1 where it is new. Returns 0, -1 for a service that is gone, -2 for a slug that is taken.
    static let writeService = RedisScript(guarded + keyPrelude + """
        local old = redis.call('HGET', p .. 'slug-of', ARGV[1])
        if ARGV[6] ~= '1' and not old then return -1 end
        local holder = redis.call('HGET', p .. 'slugs', ARGV[2])
        if holder and holder ~= ARGV[1] then return -2 end
        writeService(ARGV[1], ARGV[2], ARGV[3], ARGV[4])
        changed(ARGV[1], ARGV[5])
        return 0
        """)

    /// ARGV: id, writer. Returns 0, or -1 for a service that is gone.
    static let deleteService = RedisScript(guarded + keyPrelude + """
        if redis.call('HEXISTS', p .. 'slug-of', ARGV[1]) == 0 then return -1 end
        deleteService(ARGV[1])
        changed(ARGV[1], ARGV[2])
        return 0
        """)

    // MARK: Keys

    /// ARGV: service. Returns ids, sealed values, infos, attributes, standings, successes, failures and last uses, each as an array.
    static let keys = RedisScript(guarded + """
        local ids = redis.call('HKEYS', p .. 'keys:' .. ARGV[1])
        local out = {ids}
        for _, hash in ipairs({'keys:', 'infos:', 'attributes:'}) do out[#out + 1] = values(p .. hash .. ARGV[1], ids) end
        for _, hash in ipairs({'standing', 'successes', 'failures', 'used'}) do out[#out + 1] = values(p .. hash, ids) end
        return out
        """)

    /// ARGV: token, then texts. Lays them ready for a script that is given the token; what is not fetched is gone after two minutes.
    static let stage = RedisScript(guarded + """
        local list = p .. 'stage:' .. ARGV[1]
        for first = 2, #ARGV, 2000 do redis.call('RPUSH', list, unpack(ARGV, first, math.min(first + 1999, #ARGV))) end
        redis.call('EXPIRE', list, 120)
        return 0
        """)

    /// ARGV: service, writer, token. Laid ready are id, digests, sealed value, info and attributes of each key. Returns 1 for each key that is in now, 0 for
    /// each that was there; -1 for a service that is gone.
    static let insertKeys = RedisScript(guarded + keyPrelude + """
        local service, list = ARGV[1], p .. 'stage:' .. ARGV[3]
        if redis.call('HEXISTS', p .. 'services', service) == 0 then
            redis.call('DEL', list)
            return -1
        end
        local out, isAny = insertKeys(service, list)
        if isAny then changed(service, ARGV[2]) end
        return out
        """)

    /// ARGV: id, info, attributes, writer. Returns 0, or -1 for a key that is gone.
    static let updateKey = RedisScript(guarded + keyPrelude + """
        local service = updateKey(ARGV[1], ARGV[2], ARGV[3])
        if not service then return -1 end
        changed(service, ARGV[4])
        return 0
        """)

    /// ARGV: id, writer. Returns 0, or -1 for a key that is gone.
    static let deleteKey = RedisScript(guarded + """
        local service = redis.call('HGET', p .. 'owner', ARGV[1])
        if not service then return -1 end
        redis.call('HDEL', p .. 'digests:' .. service, redis.call('HGET', p .. 'digest-of:' .. service, ARGV[1]))
        for _, hash in ipairs({'digest-of:', 'keys:', 'infos:', 'attributes:'}) do redis.call('HDEL', p .. hash .. service, ARGV[1]) end
        for _, hash in ipairs({'owner', 'standing', 'successes', 'failures', 'used'}) do redis.call('HDEL', p .. hash, ARGV[1]) end
        redis.call('ZREM', p .. 'told', ARGV[1])
        changed(service, ARGV[2])
        return 0
        """)

    /// ARGV: service, writer. Returns how many keys there were, or -1 for a service that is gone.
    static let deleteKeys = RedisScript(guarded + """
        if redis.call('HEXISTS', p .. 'services', ARGV[1]) == 0 then return -1 end
        local count = clear(ARGV[1])
        if count > 0 then changed(ARGV[1], ARGV[2]) end
        return count
        """)

    /// ARGV: service, writer, ids. Returns how many of these keys the service had.
    static let deleteSomeKeys = RedisScript(guarded + keyPrelude + """
        local ids = {}
        for i = 3, #ARGV do ids[#ids + 1] = ARGV[i] end
        local count = deleteKeys(ARGV[1], ids)
        if count > 0 then changed(ARGV[1], ARGV[2]) end
        return count
        """)

    // MARK: Standing and counts

    /// ARGV: writer and number of the batch, or nothing twice; then id, standing or nothing, successes, failures and last use or nothing, of each key.
    /// A batch that its writer has written already is passed over; a writer that is silent for a day is forgotten.
    static let record = RedisScript(guarded + """
        if ARGV[1] ~= '' then
            local writer = p .. 'writer:' .. ARGV[1]
            if tonumber(redis.call('GET', writer) or '0') >= tonumber(ARGV[2]) then return 0 end
            redis.call('SET', writer, ARGV[2], 'EX', 86400)
        end
        local function add(hash, id, count)
            if count == '0' then return end
            local sum = redis.pcall('HINCRBY', hash, id, count)
            if type(sum) == 'table' and sum.err then redis.call('HSET', hash, id, '9223372036854775807') end
        end
        local epoch
        for i = 3, #ARGV, 5 do
            local id, standing, used = ARGV[i], ARGV[i + 1], ARGV[i + 4]
            if redis.call('HEXISTS', p .. 'owner', id) == 1 then
                add(p .. 'successes', id, ARGV[i + 2])
                add(p .. 'failures', id, ARGV[i + 3])
                if used ~= '' then
                    local known = redis.call('HGET', p .. 'used', id)
                    if not known or known < used then redis.call('HSET', p .. 'used', id, used) end
                end
                if standing ~= '' then
                    local known = redis.call('HGET', p .. 'standing', id)
                    if not known or string.sub(known, 1, 40) <= string.sub(standing, 1, 40) then
                        epoch = epoch or raise('standings')
                        redis.call('HSET', p .. 'standing', id, standing)
                        redis.call('ZADD', p .. 'told', epoch, id)
                    end
                end
            end
        end
        if epoch then news() end
        return 0
        """)

    /// ARGV: ids. Returns owners, successes, failures and last uses, each as an array.
    static let counts = RedisScript(guarded + """
        local out = {}
        for _, hash in ipairs({'owner', 'successes', 'failures', 'used'}) do out[#out + 1] = values(p .. hash, ARGV) end
        return out
        """)

    // MARK: Settings and the audit log

    /// ARGV: name.
    static let setting = RedisScript(guarded + "return redis.call('HGET', p .. 'settings', ARGV[1])")

    /// ARGV: name, sealed value.
    static let setSetting = RedisScript(guarded + "return redis.call('HSET', p .. 'settings', ARGV[1], ARGV[2])")

    /// ARGV: name, sealed value. Returns the one that is there then.
    static let insertSetting = RedisScript(guarded + """
        redis.call('HSETNX', p .. 'settings', ARGV[1], ARGV[2])
        return redis.call('HGET', p .. 'settings', ARGV[1])
        """)

    /// ARGV: document.
    static let append = RedisScript(guarded + "return redis.call('HSET', p .. 'audit', redis.call('HINCRBY', meta, 'last_audit', 1), ARGV[1])")

    /// ARGV: number, limit. Returns numbers and documents in turn.
    static let auditEntries = RedisScript(guarded + """
        local last = tonumber(redis.call('HGET', meta, 'last_audit') or '0')
        local first, ids, out = tonumber(ARGV[1]) + 1, {}, {}
        for id = math.max(1, first), math.min(last, first + tonumber(ARGV[2]) - 1) do ids[#ids + 1] = text(id) end
        for i, document in ipairs(values(p .. 'audit', ids)) do
            out[#out + 1] = ids[i]
            out[#out + 1] = document
        end
        return out
        """)

    /// ARGV: number, limit. Returns numbers and documents in turn, the highest number first.
    static let latestAuditEntries = RedisScript(guarded + """
        local last = tonumber(redis.call('HGET', meta, 'last_audit') or '0')
        local from, ids, out = math.min(last, tonumber(ARGV[1]) - 1), {}, {}
        for id = from, math.max(1, from - tonumber(ARGV[2]) + 1), -1 do ids[#ids + 1] = text(id) end
        for i, document in ipairs(values(p .. 'audit', ids)) do
            out[#out + 1] = ids[i]
            out[#out + 1] = document
        end
        return out
        """)

    // MARK: What replicas share

    /// ARGV: service, count. Returns the first ticket and both epochs.
    private static let leaseBody = """
        if redis.call('HEXISTS', p .. 'tickets', ARGV[1]) == 0 then redis.call('HSET', p .. 'tickets', ARGV[1], present()) end
        local next = redis.call('HINCRBY', p .. 'tickets', ARGV[1], ARGV[2])
        return {text(next - ARGV[2]), counter('catalogue'), counter('standings')}
        """
    static let lease = RedisScript(guarded + leaseBody)
    /// The same where Redis holds shared state alone; here and below.
    static let sharedLease = RedisScript(prelude + leaseBody)

    /// Returns both epochs.
    private static let epochBody = "return {counter('catalogue'), counter('standings')}"
    static let epoch = RedisScript(guarded + epochBody)
    static let sharedEpoch = RedisScript(prelude + epochBody)

    /// ARGV: revision. Returns the present revision, 1 where the record reaches back, and `revision:subject:writer` of each change.
    static let changes = RedisScript(guarded + """
        local now = counter('catalogue')
        local after, kept = tonumber(ARGV[1]), redis.call('ZCARD', p .. 'changes')
        if after > tonumber(now) or after < tonumber(now) - kept then return {now, 0} end
        local out = {now, 1}
        for _, change in ipairs(redis.call('ZRANGEBYSCORE', p .. 'changes', '(' .. ARGV[1], '+inf')) do out[#out + 1] = change end
        return out
        """)

    /// ARGV: epoch. Returns the present epoch, 1 where nothing was lost since, ids and standings.
    private static let standingsPrelude = """
        local now = counter('standings')
        local after, isComplete = ARGV[1], 1
        if tonumber(after) > tonumber(now) or tonumber(after) < tonumber(redis.call('HGET', meta, 'origin_standings')) then after, isComplete = '-1', 0 end
        local ids = redis.call('ZRANGEBYSCORE', p .. 'told', '(' .. after, '+inf')

        """
    static let standings = RedisScript(guarded + standingsPrelude + "return {now, isComplete, ids, values(p .. 'standing', ids)}")
    static let sharedStandings = RedisScript(prelude + standingsPrelude + """
        local found = {}
        for i, id in ipairs(ids) do
            found[i] = redis.call('GET', p .. 'standing:' .. id)
            if not found[i] then redis.call('ZREM', p .. 'told', id) end
        end
        return {now, isComplete, ids, found}
        """)

    /// ARGV: id, standing and when it expires, in milliseconds since 1970, of each key.
    static let publish = RedisScript(prelude + """
        local epoch
        for i = 1, #ARGV, 3 do
            local name = p .. 'standing:' .. ARGV[i]
            local known = redis.call('GET', name)
            if not known or string.sub(known, 1, 40) <= string.sub(ARGV[i + 1], 1, 40) then
                epoch = epoch or raise('standings')
                redis.call('SET', name, ARGV[i + 1])
                redis.call('PEXPIREAT', name, ARGV[i + 2])
                redis.call('ZADD', p .. 'told', epoch, ARGV[i])
            end
        end
        if epoch then news() end
        return 0
        """)

    // MARK: The change of the master key

    /// Returns the check value, the names and values of settings in turn, and ids and headers in turn.
    static let sealed = RedisScript(guarded + "return {redis.call('HGET', meta, 'check'), redis.call('HGETALL', p .. 'settings'), redis.call('HGETALL', p .. 'headers')}")

    /// ARGV: limit, prefix. Returns service, id and sealed value of keys that another master key has sealed.
    static let outdatedKeys = RedisScript(guarded + """
        local limit, out = tonumber(ARGV[1]) * 3, {}
        for _, service in ipairs(redis.call('HKEYS', p .. 'services')) do
            local cursor = '0'
            repeat
                local page = redis.call('HSCAN', p .. 'keys:' .. service, cursor, 'COUNT', 1000)
                cursor = page[1]
                for i = 1, #page[2], 2 do
                    if #out >= limit then return out end
                    if string.sub(page[2][i + 1], 1, 5) ~= ARGV[2] then
                        out[#out + 1] = service
                        out[#out + 1] = page[2][i]
                        out[#out + 1] = page[2][i + 1]
                    end
                end
            until cursor == '0'
        end
        return out
        """)

    /// ARGV: hash, field, old and new value, of each. Changes those that are still the old ones.
    static let replace = RedisScript(guarded + """
        for i = 1, #ARGV, 4 do
            if redis.call('HGET', p .. ARGV[i], ARGV[i + 1]) == ARGV[i + 2] then redis.call('HSET', p .. ARGV[i], ARGV[i + 1], ARGV[i + 3]) end
        end
        return 0
        """)

    /// ARGV: service, id, old and new sealed value and new digest, of each. A value that came in twice keeps its old digest, which stands in nobody's way.
    static let replaceKeys = RedisScript(guarded + """
        for i = 1, #ARGV, 5 do
            local service, id = ARGV[i], ARGV[i + 1]
            if redis.call('HGET', p .. 'keys:' .. service, id) == ARGV[i + 2] then
                redis.call('HSET', p .. 'keys:' .. service, id, ARGV[i + 3])
                if redis.call('HSETNX', p .. 'digests:' .. service, ARGV[i + 4], id) == 1 then
                    redis.call('HDEL', p .. 'digests:' .. service, redis.call('HGET', p .. 'digest-of:' .. service, id))
                    redis.call('HSET', p .. 'digest-of:' .. service, id, ARGV[i + 4])
                end
            end
        end
        return 0
        """)
}
