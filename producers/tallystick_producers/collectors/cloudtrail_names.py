"""CloudTrail's API calls in the vocabulary of the format. The call itself stays in the event's attributes."""

from typing import Final

from tallystick_schemas.vocabulary import Outcome

_EXACT: Final = {
    "GetObject": "artifact.download",
    "PutObject": "artifact.upload",
    "UploadPart": "artifact.upload",
    "CompleteMultipartUpload": "artifact.upload",
    "CopyObject": "artifact.copy",
    "CopySnapshot": "artifact.copy",
    "CopyImage": "artifact.copy",
    "HeadObject": "artifact.list",
    "HeadBucket": "artifact.list",
    "PutBucketPolicy": "artifact.share",
    "PutBucketAcl": "artifact.share",
    "PutObjectAcl": "artifact.share",
    "SharedSnapshotVolumeCreated": "artifact.share",
    "ModifySnapshotAttribute": "artifact.share",
    "ModifyImageAttribute": "artifact.share",
    "ModifyDBSnapshotAttribute": "artifact.share",
    "AssumeRole": "credential.issue",
    "AssumeRoleWithSAML": "credential.issue",
    "AssumeRoleWithWebIdentity": "credential.issue",
    "GetFederationToken": "credential.issue",
    "GetSessionToken": "credential.issue",
    "CreateAccessKey": "credential.issue",
    "CreateLoginProfile": "credential.issue",
    "UpdateLoginProfile": "credential.issue",
    "GetPasswordData": "credential.issue",
    "CreateSession": "credential.issue",
    "DeleteAccessKey": "credential.revoke",
    "DeleteLoginProfile": "credential.revoke",
    "InvokeModel": "model.infer",
    "InvokeModelWithResponseStream": "model.infer",
    "Converse": "model.infer",
    "ConverseStream": "model.infer",
    "InvokeEndpoint": "model.infer",
    "CreateModelCustomizationJob": "model.finetune",
    "CreateTrainingJob": "model.finetune",
    "StartQueryExecution": "dataset.query",
    "GetQueryResults": "dataset.read",
    "ExportTableToPointInTime": "dataset.export",
}
_POLICY: Final = ("iam", "kms", "cloudtrail", "config", "guardduty", "organizations", "rolesanywhere")
"""Services whose every change is one of policy: who may do what, and who watches."""


def action_of(service: str, name: str, outcome: Outcome) -> str:
    """The action of a call. One that fits no other is what every call is: a decision about access."""
    if name in ("ConsoleLogin", "SwitchRole"):
        return "auth.logon" if outcome == "allowed" else "auth.fail"
    if action := _EXACT.get(name):
        return action
    if name.startswith(("List", "Describe")):
        return "artifact.list"
    if name.startswith(("Get", "BatchGet", "Lookup", "Search")):
        return "artifact.read"
    if service in _POLICY or "Policy" in name:
        return "policy.update"
    if name.startswith(("Delete", "Terminate")):
        return "artifact.delete"
    if name.startswith(("Create", "Register", "Publish")):
        return "artifact.register"
    return "access.check"
