"""CloudTrail: documents of every shape, plain and packed, and what becomes of a record's fields."""

import gzip

import msgspec
import pytest
from tests.support.collectors import Machine
from tests.support.recorder import spooled

from tallystick_producers.collectors import LogEvent, cloudtrail, log_format
from tallystick_producers.errors import LineRefused
from tallystick_schemas.events import Actor, Resource, Source, Usage

ROLE = {
    "type": "AssumedRole",
    "principalId": "AROA1:eva",
    "arn": "arn:aws:sts::1:assumed-role/train/eva",
    "accessKeyId": "ASIA1",
    "sessionContext": {"attributes": {"mfaAuthenticated": "true"}},
}


def record(name="GetObject", service="s3.amazonaws.com", **more):
    asked = {"bucketName": "weights", "key": "models/a.bin", "versionId": "v7"} if service.startswith("s3.") else {}
    return {
        "eventTime": "2026-11-23T04:00:00Z",
        "eventSource": service,
        "eventName": name,
        "eventID": "e-1",
        "awsRegion": "eu-west-1",
        "sourceIPAddress": "203.0.113.9",
        "userAgent": "aws-cli/2",
        "userIdentity": ROLE,
        "requestParameters": asked,
        **more,
    }


def documents(directory, **files):
    for name, content in files.items():
        (directory / name.replace("__", ".")).write_bytes(content)


def test_a_record_field_by_field():
    assert cloudtrail.parse(record(additionalEventData={"bytesTransferredOut": 77.0}, recipientAccountId="1")) == LogEvent(
        time="2026-11-23T04:00:00.000000Z",
        action="artifact.download",
        actor=Actor("arn:aws:sts::1:assumed-role/train/eva", "service", credential="ASIA1", session="eva", mfa=True),
        resource=Resource("artifact", "s3://weights/models/a.bin", version="v7", collection="s3://weights"),
        outcome="allowed",
        usage=Usage(bytes=77, objects=1),
        source=Source(ip="203.0.113.9", user_agent="aws-cli/2"),
        attrs={"event_name": "GetObject", "event_source": "s3.amazonaws.com", "event_id": "e-1", "region": "eu-west-1", "account": "1"},
    )


@pytest.mark.parametrize(
    ("name", "service", "action"),
    [
        ("PutBucketPolicy", "s3", "artifact.share"),
        ("AssumeRole", "sts", "credential.issue"),
        ("InvokeModel", "bedrock", "model.infer"),
        ("ListBuckets", "s3", "artifact.list"),
        ("GetSecretValue", "secretsmanager", "artifact.read"),
        ("StopLogging", "cloudtrail", "policy.update"),
        ("DeleteRolePolicy", "iam", "policy.update"),
        ("TerminateInstances", "ec2", "artifact.delete"),
        ("CreateImage", "ec2", "artifact.register"),
        ("SendCommand", "ssm", "access.check"),
    ],
)
def test_the_call_is_the_action(name, service, action):
    assert cloudtrail.parse(record(name, f"{service}.amazonaws.com")).action == action


@pytest.mark.parametrize(
    ("more", "outcome"),
    [
        ({}, "allowed"),
        ({"errorCode": "AccessDenied"}, "denied"),
        ({"errorCode": "Client.UnauthorizedOperation"}, "denied"),
        ({"errorCode": "NoSuchKey"}, "error"),
    ],
)
def test_the_error_code_is_the_outcome_and_what_failed_moved_nothing(more, outcome):
    event = cloudtrail.parse(record(**more))
    assert event.outcome == outcome
    assert (event.usage is not None) == (outcome == "allowed")


def test_a_failed_logon_is_one_also_without_an_error_code():
    event = cloudtrail.parse(record("ConsoleLogin", "signin.amazonaws.com", responseElements={"ConsoleLogin": "Failure"}))
    assert (event.action, event.outcome) == ("auth.fail", "denied")
    assert cloudtrail.parse(record("ConsoleLogin", "signin.amazonaws.com")).action == "auth.logon"


@pytest.mark.parametrize(
    ("identity", "actor"),
    [
        ({"type": "IAMUser", "arn": "arn:aws:iam::1:user/eva"}, Actor("arn:aws:iam::1:user/eva", "human")),
        ({"type": "AWSService", "invokedBy": "config.amazonaws.com"}, Actor("config.amazonaws.com", "service")),
        ({}, Actor("s3.amazonaws.com", "service")),
        ("nonsense", Actor("s3.amazonaws.com", "service")),
    ],
)
def test_the_actor_is_the_best_name_there_is(identity, actor):
    assert cloudtrail.parse(record(userIdentity=identity)).actor == actor


def test_the_resource_is_an_arn_or_what_was_asked_for_or_the_call():
    arn = [{"type": "x"}, {"ARN": "arn:aws:kms:key/1"}]
    assert cloudtrail.parse(record("Decrypt", "kms.amazonaws.com", resources=arn)).resource == Resource("artifact", "arn:aws:kms:key/1")
    model = cloudtrail.parse(record("InvokeModel", "bedrock.amazonaws.com", requestParameters={"modelId": "m"}))
    assert model.resource == Resource("model", "bedrock.amazonaws.com/m")
    assert cloudtrail.parse(record("Do", "x.amazonaws.com")).resource == Resource("endpoint", "x.amazonaws.com/Do")


@pytest.mark.parametrize("flaw", ["eventName", "eventSource", "eventTime"])
def test_a_record_without_its_main_fields_is_refused(flaw):
    with pytest.raises(LineRefused, match=flaw):
        cloudtrail.parse({**record(), flaw: 7})


@pytest.mark.parametrize("count", ["many", -1, 1.5, 10**400])
def test_a_count_that_is_none_is_refused(count):
    with pytest.raises(LineRefused, match="not a count"):
        cloudtrail.parse(record(additionalEventData={"bytesTransferredOut": count}))


def names(machine):
    return [
        event.attrs["event_id"] for run in spooled(machine.settings).values() for event in run if event.attrs and "event_id" in event.attrs
    ]


def test_every_shape_of_a_document_plain_and_packed(tmp_path):
    one = [msgspec.json.encode(record(eventID=f"e-{n}")) for n in range(9)]
    folder = tmp_path / "trail"
    folder.mkdir()
    documents(
        folder,
        a__json=b'{"Records":[' + b",".join(one[:3]) + b"]}",
        b__json__gz=gzip.compress(b'{"Records":[' + one[3] + b"]}"),
        c__json=b"[" + one[4] + b"]",
        d__json=one[5],
        e__json=b'{"Records":[' + one[6] + b"]}\n" + one[7] + b"\n\n" + one[8] + b"\n",
        notes__txt=b"not a log",
    )
    with Machine(tmp_path, log_format("cloudtrail"), folder) as machine:
        report = machine.collect()
        assert (report.read, report.recorded, report.unreadable) == (9, 9, [])
        machine.restart()
        assert machine.collect().read == 0
    assert names(machine) == [f"e-{n}" for n in range(9)]


def test_a_bad_record_is_named_by_its_number_and_stops_nothing(tmp_path):
    file = tmp_path / "a.json"
    file.write_bytes(msgspec.json.encode({"Records": [record(eventID="e-1"), 7, record(eventTime="soon"), record(eventID="e-2")]}))
    with Machine(tmp_path, log_format("cloudtrail"), file) as machine:
        report = machine.collect()
    assert (report.read, report.recorded, report.refused) == (4, 2, 2)
    assert [one["place"] for one in report.skipped] == [f"{file}#2", f"{file}#3"]
    assert names(machine) == ["e-1", "e-2"]


def test_a_document_is_read_once_it_is_whole(tmp_path):
    file, whole = tmp_path / "a.json", msgspec.json.encode({"Records": [record()]})
    file.write_bytes(whole[:-1])
    with Machine(tmp_path, log_format("cloudtrail"), file) as machine:
        report = machine.collect()
        assert (report.read, [one["place"] for one in report.unreadable]) == (0, [str(file)])
        file.write_bytes(whole)
        assert machine.collect().recorded == 1


def test_records_that_are_added_are_recorded_alone(tmp_path):
    file = tmp_path / "a.json"
    with Machine(tmp_path, log_format("cloudtrail"), file) as machine:
        for n in range(4):
            with file.open("ab") as log:
                log.write(msgspec.json.encode(record(eventID=f"e-{n}")) + b"\n")
            machine.restart()
            assert machine.collect().recorded == 1
    assert names(machine) == [f"e-{n}" for n in range(4)]
