-- Findings and what people said about them, derived from the signed history alone: detectors record each finding (incident.open, and
-- incident.update when it comes again), people close it with a disposition (incident.close). Who may say what is decided by the agent that
-- signed: `opened_by` and `closed_by` are lists of agents, so that an enrolled stranger's words are in the history and count for nothing.
CREATE VIEW IF NOT EXISTS finding_events AS
SELECT
    e.shard AS shard,
    e.`index` AS `index`,
    e.pos AS pos,
    any(l.agent) AS agent,
    any(e.time) AS time,
    any(e.action) AS action,
    any(e.principal) AS by,
    any(e.resource_id) AS finding,
    any(JSONExtractString(e.raw, 'why', 'text')) AS text,
    any(JSONExtract(e.raw, 'attrs', 'Map(String, String)')) AS attrs
FROM events AS e
INNER JOIN
(
    SELECT shard, `index`, agent FROM ledger_entries
    WHERE (shard, `index`) IN (SELECT shard, `index` FROM events WHERE action IN ('incident.open', 'incident.update', 'incident.close'))
) AS l ON l.shard = e.shard AND l.`index` = e.`index`
WHERE e.action IN ('incident.open', 'incident.update', 'incident.close') AND e.resource_kind = 'finding'
GROUP BY e.shard, e.`index`, e.pos;

CREATE VIEW IF NOT EXISTS findings AS
SELECT
    finding,
    argMax(attrs['detector'], n) AS detector,
    toUInt32OrZero(argMax(attrs['version'], n)) AS version,
    argMax(attrs['about'], n) AS about,
    argMax(attrs['severity'], n) AS severity,
    argMax(attrs['mode'], n) AS mode,
    argMax(attrs['suppressed'], n) AS suppressed,
    argMax(attrs['drill'], n) AS drill,
    argMax(attrs['finding'], n) AS json,
    argMax(text, n) AS said,
    max(n) AS count,
    min(time) AS opened,
    max(time) AS updated
FROM
(
    SELECT *, toUInt64OrZero(attrs['count']) AS n FROM finding_events
    WHERE action IN ('incident.open', 'incident.update') AND agent IN ('detectors', 'outbox', 'responder')
)
GROUP BY finding;

-- The newest disposition of each finding, by agents that speak for people ([log] command_agents).
CREATE VIEW IF NOT EXISTS dispositions AS
SELECT
    finding,
    argMax(attrs['disposition'], (time, shard, `index`, pos)) AS disposition,
    argMax(by, (time, shard, `index`, pos)) AS who,
    argMax(text, (time, shard, `index`, pos)) AS reason,
    max(time) AS closed
FROM finding_events
WHERE action = 'incident.close' AND agent IN {closed_by:Array(String)}
GROUP BY finding;

-- SELECT * FROM detector_quality(closed_by = ['console', 'cli'], days = 90). Precision is right / (right + wrong) with Wilson's interval
-- (95 %); a disposition that says nothing about the detector counts as neither. Drills are left out. False alarms a user-day: wrong ones over
-- pairs of a principal and a day on which it did something.
-- let Z = 1.959963984540054
-- let N = (right + wrong)
CREATE VIEW IF NOT EXISTS detector_quality AS
SELECT
    detector,
    version,
    findings,
    suppressed,
    right + wrong AS verdicts,
    right,
    wrong,
    undecided,
    if(${N} = 0, NULL, right / ${N}) AS precision,
    if(${N} = 0, NULL, greatest(0, (right / ${N} + ${Z} * ${Z} / 2 / ${N} - ${Z} * sqrt(right / ${N} * (wrong / ${N}) / ${N} + ${Z} * ${Z} / 4 / ${N} / ${N})) / (1 + ${Z} * ${Z} / ${N}))) AS low,
    if(${N} = 0, NULL, least(1, (right / ${N} + ${Z} * ${Z} / 2 / ${N} + ${Z} * sqrt(right / ${N} * (wrong / ${N}) / ${N} + ${Z} * ${Z} / 4 / ${N} / ${N})) / (1 + ${Z} * ${Z} / ${N}))) AS high,
    (
        SELECT uniqExact(principal, toDate(time)) FROM events
        WHERE time >= now() - toIntervalDay({days:UInt32}) AND NOT startsWith(action, 'agent.') AND NOT startsWith(action, 'incident.') AND action != 'policy.update'
    ) AS user_days,
    if(user_days = 0, NULL, wrong / user_days) AS false_alarms_a_user_day,
    if(isNaN(seconds), NULL, seconds) AS median_seconds_to_verdict
FROM
(
    SELECT
        f.detector AS detector,
        f.version AS version,
        count() AS findings,
        countIf(f.suppressed != '') AS suppressed,
        countIf(d.disposition IN ('true-positive-malicious', 'true-positive-benign', 'remediated', 'case-opened')) AS right,
        countIf(d.disposition = 'false-positive') AS wrong,
        countIf(d.disposition IN ('testing-or-maintenance', 'other')) AS undecided,
        quantileExactIf(0.5)(toFloat64(dateDiff('millisecond', f.opened, d.closed)) / 1000, d.disposition != '') AS seconds
    FROM findings AS f
    LEFT JOIN dispositions(closed_by = {closed_by:Array(String)}) AS d ON d.finding = f.finding
    WHERE f.drill = '' AND f.opened >= now() - toIntervalDay({days:UInt32})
    GROUP BY detector, version
)
ORDER BY detector, version;
