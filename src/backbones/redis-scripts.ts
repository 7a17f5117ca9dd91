import { createHash } from 'node:crypto';

/** A Lua script, and the name under which Redis keeps it. */
export interface RedisScript {
  /** What is run. */
  readonly text: string;
  /** Its SHA-1, in hex. */
  readonly sha: string;
}

const script = (text: string): RedisScript => ({ text, sha: createHash('sha1').update(text).digest('hex') });

/**
 * The keys, all with the hash tag of the root, so that one script may touch them on a cluster too:
 *
 * - `{prefix:0}`, a hash: `e` epoch, `l` last offset, `r` run_id of the Redis that made the epoch;
 * - `{prefix:0}:s:<topic>`, a stream: the messages of a topic, `p` link and `d` envelope under the offset;
 * - `{prefix:0}:z`, a sorted set: the last offset of each topic;
 * - `{prefix:0}:i:…` and `{prefix:0}:b:…`: what became of an id and of a batch.
 *
 * Live messages are on the channel `{prefix:0}#<topic>`, as `offset link epoch envelope`.
 *
 * Offsets are the clock of Redis in µs, and larger than the last one in any case. Numbers of Lua hold 53 bits, which are
 * enough for the year 2255; `%.0f` writes them out.
 *
 * ARGV: 1 most messages of a stream, 2 how long it lives in ms, 3 epoch if there is none, 4 id of the batch, 5 epoch in
 * which it was tried before; then for each message topic, `h` if it has history, id, envelope.
 */
export const publishScript: RedisScript = /* @__PURE__ */ script(`
local root = KEYS[1]
local done = redis.call('get', root .. ':b:' .. ARGV[4])
if done then return done end
local state = redis.call('hmget', root, 'e', 'l')
local epoch = state[1]
if ARGV[5] ~= '' and ARGV[5] ~= epoch then return redis.error_reply('SUBWIRE_EPOCH') end
if not epoch then
  epoch = ARGV[3]
  redis.call('hset', root, 'e', epoch)
end
local time = redis.call('time')
local now = time[1] * 1000000 + time[2]
if state[2] and tonumber(state[2]) >= now then now = tonumber(state[2]) + 1 end
local out = { epoch }
for index = 6, #ARGV, 4 do
  local topic, id = ARGV[index], ARGV[index + 2]
  local idKey = root .. ':i:' .. #topic .. ':' .. topic .. id
  local known = id ~= '' and redis.call('get', idKey)
  if known then
    out[#out + 1] = known
  else
    local offset = string.format('%.0f', now)
    now = now + 1
    local link = redis.call('zscore', root .. ':z', topic)
    link = link and string.format('%.0f', tonumber(link)) or '0'
    redis.call('zadd', root .. ':z', offset, topic)
    if ARGV[index + 1] == 'h' then
      local stream = root .. ':s:' .. topic
      redis.call('xadd', stream, 'MAXLEN', '~', ARGV[1], offset, 'p', link, 'd', ARGV[index + 3])
      redis.call('pexpire', stream, ARGV[2])
    end
    redis.call('publish', root .. '#' .. topic, offset .. ' ' .. link .. ' ' .. epoch .. ' ' .. ARGV[index + 3])
    if id ~= '' then redis.call('set', idKey, offset, 'PX', 300000) end
    out[#out + 1] = offset
  end
end
redis.call('hset', root, 'l', string.format('%.0f', now - 1))
local answer = table.concat(out, ' ')
redis.call('set', root .. ':b:' .. ARGV[4], answer, 'PX', 60000)
return answer`);

/**
 * The epoch and the last offset, which is the time for an empty log; and with a server's id the beacon, on the channel of that server alone.
 *
 * A Redis that lost the end of its log (a failover, an old snapshot) has the same epoch and another run_id: unless the
 * operator says that it loses nothing, another run_id is another epoch. Where INFO is forbidden this is not seen.
 *
 * ARGV: 1 epoch if there is none, 2 id of the server or nothing, 3 `1` if Redis loses nothing, 4 for how long a topic
 * is remembered, in µs.
 */
export const placeScript: RedisScript = /* @__PURE__ */ script(`
local root = KEYS[1]
local state = redis.call('hmget', root, 'e', 'l', 'r')
local epoch = state[1]
if ARGV[3] ~= '1' then
  local info = redis.pcall('info', 'server')
  local run = type(info) == 'string' and string.match(info, 'run_id:(%x+)')
  if run and run ~= state[3] then
    redis.call('hset', root, 'r', run)
    if state[3] then epoch = false end
  end
end
if not epoch then
  epoch = ARGV[1]
  redis.call('hset', root, 'e', epoch)
end
local time = redis.call('time')
local now = time[1] * 1000000 + time[2]
local last = state[2]
if not last then
  last = string.format('%.0f', now)
  redis.call('hset', root, 'l', last)
end
if ARGV[2] ~= '' then
  redis.call('zremrangebyscore', root .. ':z', '-inf', string.format('(%.0f', now - ARGV[4]))
  redis.call('publish', root .. '@' .. ARGV[2], epoch .. ' ' .. last)
end
return { epoch, last }`);

/**
 * The messages of a topic after an offset: epoch, last offset of the log, clock, last offset of the topic, entries.
 *
 * ARGV: 1 topic, 2 offset, 3 how many at the most.
 */
export const readScript: RedisScript = /* @__PURE__ */ script(`
local root = KEYS[1]
local state = redis.call('hmget', root, 'e', 'l')
local time = redis.call('time')
return {
  state[1] or '',
  state[2] or '0',
  string.format('%.0f', time[1] * 1000000 + time[2]),
  redis.call('zscore', root .. ':z', ARGV[1]) or '',
  redis.call('xrange', root .. ':s:' .. ARGV[1], '(' .. ARGV[2], '+', 'COUNT', ARGV[3])
}`);

/**
 * The topics that have messages after an offset: epoch, last offset of the log, clock, topics with their last offsets.
 *
 * ARGV: 1 offset, 2 how many at the most.
 */
export const changesScript: RedisScript = /* @__PURE__ */ script(`
local root = KEYS[1]
local state = redis.call('hmget', root, 'e', 'l')
local time = redis.call('time')
return {
  state[1] or '',
  state[2] or '0',
  string.format('%.0f', time[1] * 1000000 + time[2]),
  redis.call('zrangebyscore', root .. ':z', '(' .. ARGV[1], '+inf', 'WITHSCORES', 'LIMIT', 0, ARGV[2])
}`);
