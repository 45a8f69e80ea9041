"""What parameters and headers are about, for the OpenAPI documents. One name means one thing wherever it stands."""

from __future__ import annotations

from typing import Any

from core.domain.identifiers import LARGEST_ID, PUBLIC_ID_LENGTH
from core.domain.versions import MOST_NAME
from schemas.json_schema import HEX_ID
from service.keys import MOST_KEY

Json = dict[str, Any]

TEXT: Json = {"type": "string"}
_NUMBER: Json = {"type": "integer", "minimum": 1, "maximum": LARGEST_ID}

IN_PATH: dict[str, tuple[Json, str]] = {
    "applicationId": (HEX_ID, "The application the token is for."),
    "flowId": (HEX_ID, "The flow's id."),
    "flowVersionId": ({**TEXT, "minLength": 1, "maxLength": MOST_NAME}, "The version's id or its name."),
    "jobId": (TEXT, "The entry's id, or the jobId of the answer that told of the job."),
    "job": ({**TEXT, "minLength": PUBLIC_ID_LENGTH}, "The job's id, or the id of its entry in Losant's job log."),
    "flow": (_NUMBER, "The flow's id as a plain number."),
    "version": (_NUMBER, "The version's id as a plain number."),
    "a": (_NUMBER, "The id of the version that is compared with, as a plain number."),
    "b": (_NUMBER, "The id of the version that is compared, as a plain number."),
    "entry": (_NUMBER, "The entry's id as a plain number."),
    "item": (_NUMBER, "The marketplace item's id as a plain number."),
    "flow_version": (_NUMBER, "The version's id as a plain number."),
    "schedule": (_NUMBER, "The schedule's id."),
    "run": (_NUMBER, "The run's id."),
}

IN_QUERY: dict[str, str] = {
    "_links": "Whether to add the type of what is answered and the addresses of what it belongs to.",
    "allowReplacement": "Whether a version that has this name already gets the new content.",
    "allVersions": "Whether triggerFilter looks into all versions of a flow.",
    "deviceId": "The device whose runs are wanted; there are none here.",
    "dryRun": "Whether to tell only what would be deleted.",
    "duration": "How many milliseconds before the end to look at.",
    "end": "Up to when, in milliseconds since 1970; 0 is now.",
    "filter": "A pattern for filterField, in which * stands for any text.",
    "fields[flows]": "The fields of flows wanted, separated by commas.",
    "fields[versions]": "The fields of versions wanted, separated by commas.",
    "filter[company_id]": "The companies wanted, separated by commas.",
    "filter[digest]": "The digests wanted of artifacts, separated by commas.",
    "count": "How many instants are wanted.",
    "filter[flow_class]": "The classes wanted, separated by commas.",
    "filter[flow_priority]": "The priorities wanted, separated by commas.",
    "filter[flow_id]": "The flows wanted, of items those that they were uploaded from, separated by commas.",
    "filter[action]": "What was done, such as flow.create: one or more, separated by commas.",
    "filter[actor_id]": "The ids of those who did it, separated by commas.",
    "filter[actor_type]": "The kinds of those who did it, separated by commas.",
    "filter[from]": "The first instant wanted, in ISO 8601 with a zone or in milliseconds since 1970.",
    "filter[flow_version_id]": "The versions wanted, separated by commas.",
    "filter[id]": "The ids wanted, separated by commas.",
    "filter[is_enabled]": "Whether it has to be enabled.",
    "filter[is_latest]": "Whether it has to be the newest item of its flow that is not yanked.",
    "filter[is_yanked]": "Whether it has to be yanked.",
    "filter[iteration]": "The ordinals wanted, separated by commas.",
    "filter[interval]": "The intervals wanted, separated by commas; all if left out.",
    "filter[key]": "The keys wanted, separated by commas.",
    "filter[kind]": "The kinds wanted, separated by commas.",
    "filter[name]": "What the name has to contain, in any case; of several texts, separated by commas, any one.",
    "filter[private]": "Whether it has to be private.",
    "filter[version]": "The versions wanted, separated by commas: of metrics by id, of items by name.",
    "filter[subject_id]": "The ids of what it was done to, separated by commas.",
    "filter[subject_type]": "The kinds of what it was done to, separated by commas.",
    "filter[to]": "The first instant that is not wanted any more, written like filter[from].",
    "filter[schedule_id]": "The schedules wanted, separated by commas.",
    "filter[started_after]": "Begun later than this: RFC 3339, or milliseconds since 1970.",
    "filter[started_before]": "Begun earlier than this: RFC 3339, or milliseconds since 1970.",
    "filter[status]": "The statuses wanted, separated by commas; of runs, their numbers will do.",
    "filter[type]": "The types wanted, separated by commas; all if left out.",
    "filter[trigger]": "What made them begin, separated by commas.",
    "filterField": "The field that filter is about.",
    "from": "From when on, now if left out: RFC 3339, or milliseconds since 1970.",
    "flowClass": "The class wanted.",
    "flowVersion": "The name or id of the version whose runs are wanted, or develop; all of them if left out.",
    "include": "What shall come along, separated by commas.",
    "includeCustomNodes": "Whether to add the custom nodes that are referred to.",
    "limit": "How many entries are wanted at most.",
    "page": "The page wanted.",
    "per_page": "How many entries a page has.",
    "perPage": "How many entries a page has.",
    "query": "Losant's advanced query as JSON; it overrides the filter.",
    "resolution": "The length of an interval in milliseconds.",
    "since": "From when on, in milliseconds since 1970.",
    "sort": "What to sort by, separated by commas, downwards with a minus in front.",
    "sortDirection": "Up or down.",
    "sortField": "The field to sort by.",
    "strictValidation": "Whether configurations are checked more strictly.",
    "triggerFilter": "The triggers wanted, by number: triggerFilter[0][type]=timer&triggerFilter[0][key]=daily.",
    "version": "The name or id of the version wanted of each flow.",
}

IN_HEADERS: dict[str, tuple[Json, str]] = {
    "If-Match": (TEXT, "ETags of which the thing must still have one."),
    "If-None-Match": (TEXT, "The ETag that is known; an unchanged document is a 304."),
    "Idempotency-Key": (
        {**TEXT, "minLength": 1, "maxLength": MOST_KEY, "pattern": "^[ -~]+$"},
        "The same key with the same request starts nothing again for 48 hours.",
    ),
    "Prefer": (TEXT, "wait=N: rather an outcome within N seconds, at most 30, than a job to ask for."),
    "Last-Event-ID": (TEXT, "The last event seen: the job is sent again only if it has changed since."),
}

OF_ANSWERS: dict[str, tuple[Json, str]] = {
    "Content-Disposition": (TEXT, "What to call the file."),
    "ETag": (TEXT, "Changes with the thing; for If-Match or If-None-Match."),
    "Location": (TEXT, "The job or the run, under /api/v1."),
    "Retry-After": ({"type": "integer", "minimum": 0}, "Seconds after which to ask again."),
    "WWW-Authenticate": (TEXT, "How a client can show itself beside the fields of the body."),
    "X-RateLimit-Limit": ({"type": "integer", "minimum": 1}, "Requests a minute that the company may make."),
    "X-RateLimit-Remaining": ({"type": "integer", "minimum": 0}, "How many of them are left in this minute."),
}
