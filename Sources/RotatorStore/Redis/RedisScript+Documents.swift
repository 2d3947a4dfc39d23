// SPDX-License-Identifier: MIT

/// Small documents, and lists of changes.
///
/// For each kind there are `documents:KIND` (sealed bodies by number), `document-names:KIND` (numbers by name), `document-name-of:KIND`,
/// `document-revisions:KIND` and `document-numbers:KIND`, a sorted set of the numbers.
extension RedisScript {
    private static let documentPrelude = guarded + """
        local function document(kind, id)
            return {id, redis.call('HGET', p .. 'document-name-of:' .. kind, id), redis.call('HGET', p .. 'document-revisions:' .. kind, id),
                redis.call('HGET', p .. 'documents:' .. kind, id)}
        end
        local function holder(kind, name) return redis.call('HGET', p .. 'document-names:' .. kind, name) end
        local function write(kind, id, name, body, revision)
            local old = redis.call('HGET', p .. 'document-name-of:' .. kind, id)
            if old and old ~= name then redis.call('HDEL', p .. 'document-names:' .. kind, old) end
            redis.call('HSET', p .. 'document-names:' .. kind, name, id)
            redis.call('HSET', p .. 'document-name-of:' .. kind, id, name)
            redis.call('HSET', p .. 'documents:' .. kind, id, body)
            redis.call('HSET', p .. 'document-revisions:' .. kind, id, revision)
            redis.call('ZADD', p .. 'document-numbers:' .. kind, id, id)
        end
        local function delete(kind, id)
            redis.call('HDEL', p .. 'document-names:' .. kind, redis.call('HGET', p .. 'document-name-of:' .. kind, id))
            for _, hash in ipairs({'document-name-of:', 'documents:', 'document-revisions:'}) do redis.call('HDEL', p .. hash .. kind, id) end
            redis.call('ZREM', p .. 'document-numbers:' .. kind, id)
        end

        """

    /// ARGV: kind, number, limit. Returns number, name, revision and sealed body of each document with a greater number, by number; fewer where they are
    /// many octets, but one at least.
    static let documents = RedisScript(documentPrelude + """
        local out, left = {}, 4194304
        for _, id in ipairs(redis.call('ZRANGEBYSCORE', p .. 'document-numbers:' .. ARGV[1], '(' .. ARGV[2], '+inf', 'LIMIT', 0, ARGV[3])) do
            if left <= 0 then break end
            out[#out + 1] = document(ARGV[1], id)
            left = left - #out[#out][4] - 100
        end
        return out
        """)

    /// ARGV: kind, name. Returns number, name, revision and sealed body, or nothing.
    static let document = RedisScript(documentPrelude + """
        local id = holder(ARGV[1], ARGV[2])
        return id and document(ARGV[1], id)
        """)

    /// ARGV: kind, number, name, sealed body, writer, number of the subject or nothing. Returns 0, or -2 for a name that is taken.
    static let insertDocument = RedisScript(documentPrelude + """
        if holder(ARGV[1], ARGV[3]) then return -2 end
        write(ARGV[1], ARGV[2], ARGV[3], ARGV[4], '1')
        if ARGV[6] ~= '' then changed(ARGV[6], ARGV[5]) end
        return 0
        """)

    /// ARGV: kind, number, name, sealed body, writer, number of the subject or nothing, revision that is expected or nothing. Returns the new revision, -1
    /// for a document that is gone, -2 for a name that is taken, -3 for another revision.
    static let replaceDocument = RedisScript(documentPrelude + """
        local revision = redis.call('HGET', p .. 'document-revisions:' .. ARGV[1], ARGV[2])
        if not revision then return -1 end
        if ARGV[7] ~= '' and ARGV[7] ~= revision then return -3 end
        local other = holder(ARGV[1], ARGV[3])
        if other and other ~= ARGV[2] then return -2 end
        revision = text(revision + 1)
        write(ARGV[1], ARGV[2], ARGV[3], ARGV[4], revision)
        if ARGV[6] ~= '' then changed(ARGV[6], ARGV[5]) end
        return revision
        """)

    /// ARGV: kind, number, writer, number of the subject or nothing. Returns 0, or -1 for a document that is gone.
    static let deleteDocument = RedisScript(documentPrelude + """
        if redis.call('HEXISTS', p .. 'document-name-of:' .. ARGV[1], ARGV[2]) == 0 then return -1 end
        delete(ARGV[1], ARGV[2])
        if ARGV[4] ~= '' then changed(ARGV[4], ARGV[3]) end
        return 0
        """)

    /// ARGV: kind, writer, number of the subject or nothing, token. Laid ready are number, name, revision and sealed body of each document. Returns how many
    /// were added, and how many were laid ready.
    static let restoreDocuments = RedisScript(documentPrelude + """
        local kind, list, last = ARGV[1], p .. 'stage:' .. ARGV[4], 'last_document:' .. ARGV[1]
        local count, total = 0, redis.call('LLEN', list) / 4
        for first = 0, total * 4 - 1, 4 do
            local item = redis.call('LRANGE', list, first, first + 3)
            if tonumber(item[1]) > tonumber(redis.call('HGET', meta, last) or '0') then redis.call('HSET', meta, last, item[1]) end
            if not holder(kind, item[2]) and redis.call('HEXISTS', p .. 'documents:' .. kind, item[1]) == 0 then
                write(kind, item[1], item[2], item[4], item[3])
                count = count + 1
            end
        end
        redis.call('DEL', list)
        if ARGV[3] ~= '' and count > 0 then changed(ARGV[3], ARGV[2]) end
        return {count, total}
        """)

    /// ARGV: limit, prefix, kinds. Returns kind, number and sealed body of documents that another master key has sealed; fewer where they are many octets,
    /// but one at least.
    static let outdatedDocuments = RedisScript(documentPrelude + """
        local limit, out, left = tonumber(ARGV[1]) * 3, {}, 4194304
        for i = 3, #ARGV do
            for _, id in ipairs(redis.call('ZRANGE', p .. 'document-numbers:' .. ARGV[i], 0, -1)) do
                if #out >= limit or left <= 0 then return out end
                local body = redis.call('HGET', p .. 'documents:' .. ARGV[i], id)
                if string.sub(body, 1, 5) ~= ARGV[2] then
                    for _, item in ipairs({ARGV[i], id, body}) do out[#out + 1] = item end
                    left = left - #body - 100
                end
            end
        end
        return out
        """)

    /// ARGV: writer, token, how many changes. Laid ready are six texts for each:
    /// `S` (a new service) or `s` (one that is replaced), number, slug, document, sealed headers;
    /// `K` (keys), service, the number of the list in which they are laid ready, how many;
    /// `k` (a key that is changed), number, info, attributes;
    /// `D` (a new document) or `d` (one that is replaced), kind, number, name, sealed body, number of the subject or nothing;
    /// `-S` (a service that goes), number;
    /// `-K` (keys that go), service, the number of the list in which their numbers are laid ready, how many;
    /// `-D` (a document that goes), kind, number, nothing twice, number of the subject or nothing.
    ///
    /// Looks at all of them before it makes any. Returns for each change what came of it: 1 or 0 for each key, the revision of a document, else 0; or
    /// nothing but the word `refused`, the number of a change from 0, and -1 for what is gone, -2 for what is taken, -3 for what was laid ready and lost.
    static let apply = RedisScript(documentPrelude + keyPrelude + """
        local writer, list, count = ARGV[1], p .. 'stage:' .. ARGV[2], tonumber(ARGV[3])
        local function change(i) return redis.call('LRANGE', list, i * 6, i * 6 + 5) end
        local function refused(i, code)
            for l = 0, count - 1 do redis.call('DEL', list .. ':' .. l) end
            redis.call('DEL', list)
            return {'refused', i, code}
        end
        if redis.call('LLEN', list) ~= count * 6 then return refused(0, -3) end

        local slugs, slugOf, names, nameOf, gone = {}, {}, {}, {}, {}
        local function slugHolder(slug)
            if slugs[slug] == nil then slugs[slug] = redis.call('HGET', p .. 'slugs', slug) end
            return slugs[slug]
        end
        local function slug(id)
            if slugOf[id] == nil then slugOf[id] = redis.call('HGET', p .. 'slug-of', id) end
            return slugOf[id]
        end
        local function nameHolder(kind, name)
            local at = kind .. ':' .. name
            if names[at] == nil then names[at] = holder(kind, name) end
            return names[at]
        end
        local function documentName(kind, id)
            local at = kind .. ':' .. id
            if nameOf[at] == nil then nameOf[at] = redis.call('HGET', p .. 'document-name-of:' .. kind, id) end
            return nameOf[at]
        end
        for i = 0, count - 1 do
            local c = change(i)
            if c[1] == 'S' or c[1] == 's' then
                local old = slug(c[2])
                if c[1] == 's' and not old then return refused(i, -1) end
                local other = slugHolder(c[3])
                if other and other ~= c[2] then return refused(i, -2) end
                if old then slugs[old] = false end
                slugs[c[3]], slugOf[c[2]] = c[2], c[3]
            elseif c[1] == 'K' then
                if not slug(c[2]) then return refused(i, -1) end
                if redis.call('LLEN', list .. ':' .. c[3]) ~= tonumber(c[4]) * 5 then return refused(i, -3) end
            elseif c[1] == 'k' then
                local owner = redis.call('HGET', p .. 'owner', c[2])
                if not owner or gone[c[2]] or not slug(owner) then return refused(i, -1) end
            elseif c[1] == '-S' then
                local old = slug(c[2])
                if not old then return refused(i, -1) end
                slugs[old], slugOf[c[2]] = false, false
            elseif c[1] == '-K' then
                local ids = redis.call('LRANGE', list .. ':' .. c[3], 0, -1)
                if #ids ~= tonumber(c[4]) then return refused(i, -3) end
                for n, owner in ipairs(values(p .. 'owner', ids)) do
                    if owner == c[2] then gone[ids[n]] = true end
                end
            elseif c[1] == '-D' then
                local old = documentName(c[2], c[3])
                if not old then return refused(i, -1) end
                names[c[2] .. ':' .. old], nameOf[c[2] .. ':' .. c[3]] = false, false
            else
                local old = documentName(c[2], c[3])
                if c[1] == 'd' and not old then return refused(i, -1) end
                local other = nameHolder(c[2], c[4])
                if other and other ~= c[3] then return refused(i, -2) end
                if old then names[c[2] .. ':' .. old] = false end
                names[c[2] .. ':' .. c[4]], nameOf[c[2] .. ':' .. c[3]] = c[3], c[4]
            end
        end

        local out, told, subjects = {}, {}, {}
        local function note(subject)
            if subject ~= '' and not told[subject] then
                told[subject] = true
                subjects[#subjects + 1] = subject
            end
        end
        for i = 0, count - 1 do
            local c, result = change(i), 0
            if c[1] == 'S' or c[1] == 's' then
                writeService(c[2], c[3], c[4], c[5])
                note(c[2])
            elseif c[1] == 'K' then
                local isAny
                result, isAny = insertKeys(c[2], list .. ':' .. c[3])
                if isAny then note(c[2]) end
            elseif c[1] == 'k' then
                note(updateKey(c[2], c[3], c[4]))
            elseif c[1] == '-S' then
                deleteService(c[2])
                note(c[2])
            elseif c[1] == '-K' then
                local ids = redis.call('LRANGE', list .. ':' .. c[3], 0, -1)
                redis.call('DEL', list .. ':' .. c[3])
                if deleteKeys(c[2], ids) > 0 then note(c[2]) end
            elseif c[1] == '-D' then
                delete(c[2], c[3])
                note(c[6])
            else
                result = text((redis.call('HGET', p .. 'document-revisions:' .. c[2], c[3]) or 0) + 1)
                write(c[2], c[3], c[4], c[5], result)
                note(c[6])
            end
            out[#out + 1] = result
        end
        redis.call('DEL', list)
        for _, subject in ipairs(subjects) do changed(subject, writer) end
        return out
        """)
}
