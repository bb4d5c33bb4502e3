"""The bill of materials in CycloneDX 1.6, the same bytes for the same locks and licences: no clock, no random number."""

import json
import uuid
import warnings
from collections.abc import Callable, Sequence
from hashlib import sha256
from importlib import metadata
from typing import Final

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, XsUri
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from .parts import Part

Licence = Callable[[Part], str | None]
"""The licence of a part as an SPDX expression or as its authors call it; None where nobody here knows."""
_NAMESPACE: Final = uuid.UUID("6ba7b811-9dad-11d1-80b4-00c04fd430c8")  # RFC 4122, appendix C: of URLs
_CLASSIFIER: Final = "License :: OSI Approved :: "
_MAX_NAME: Final = 60
"""Longer ones are a licence's text, which some write into the field for its name."""


def bill_of_materials(parts: Sequence[Part], version: str, licence: Licence) -> str:
    """The document as JSON. Which part needs which is not in the lock files, and not in here."""
    bom = Bom(serial_number=uuid.uuid5(_NAMESPACE, sha256(repr((version, *parts)).encode()).hexdigest()))
    bom.metadata.component = Component(name="tallystick", version=version, type=ComponentType.APPLICATION, bom_ref="tallystick")
    bom.components.update(_component(part, licence(part)) for part in parts)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*has no defined dependencies.*")  # as said above
        document = json.loads(JsonV1Dot6(bom).output_as_string())
    del document["metadata"]["timestamp"]  # the library writes down the time: two documents of one lock would differ
    return json.dumps(document, indent=2, sort_keys=True)


def _component(part: Part, licence: str | None) -> Component:
    group, _, name = part.name.rpartition(":")
    kind = "maven" if part.ecosystem == "Maven" else "pypi"
    url = PackageURL(kind, group or None, name, part.version)
    hashes = [HashType(alg=HashAlgorithm.SHA_256, content=digest) for digest in part.sha256]
    # A package has several files, of which one is installed: each is a distribution of it, and none is "the" hash of the package.
    files = (
        [ExternalReference(type=ExternalReferenceType.DISTRIBUTION, url=XsUri(url.to_string()), hashes=hashes)] if len(hashes) != 1 else []
    )
    return Component(
        name=name,
        group=group or None,
        version=part.version,
        type=ComponentType.LIBRARY,
        purl=url,
        bom_ref=url.to_string(),
        hashes=hashes if len(hashes) == 1 else None,
        external_references=files,
        licenses=[LicenseFactory().make_from_string(licence)] if licence else None,
    )


def installed_licence(part: Part) -> str | None:
    """What the installed package says of its licence; None where it is not installed in this very version, or says nothing short."""
    if part.ecosystem != "PyPI":
        return None
    try:
        about = metadata.distribution(part.name)
    except metadata.PackageNotFoundError:
        return None
    if about.version != part.version:
        return None
    fields = about.metadata
    named = next((fields[name] for name in ("License-Expression", "License") if name in fields), "")
    classified = " AND ".join(one.removeprefix(_CLASSIFIER) for one in fields.get_all("Classifier") or () if one.startswith(_CLASSIFIER))
    for text in (named.strip(), classified):
        if text and text != "UNKNOWN" and "\n" not in text and len(text) <= _MAX_NAME:
            return text
    return None
