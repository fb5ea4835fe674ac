"""The answers as OpenAPI describes them; a test reads real answers by these."""

from pydantic import BaseModel, ConfigDict, Field

UPLOAD = {
    'required': True,
    'content': {
        'multipart/form-data': {
            'schema': {
                'type': 'object',
                'required': ['files'],
                'properties': {
                    'files': {'type': 'array', 'items': {'type': 'string', 'format': 'binary'}}
                },
            }
        }
    },
}


class Strict(BaseModel):
    """No field but those that are named."""

    model_config = ConfigDict(extra='forbid')


class Finding(Strict):
    """How one finding is read."""

    score: float = Field(description='sigmoid of the logit; not a probability')
    probability: float | None = Field(description='calibrated; null: no calibration')
    threshold: float | None = Field(description='on the scale of the probability if there is one')
    decision: str | None = Field(description='present, from the threshold on, or absent')


class Prediction(Strict):
    """One file: what was found, or why it was not read."""

    file: str = Field(description='its name, without folders')
    size: list[int] | None = Field(None, description='width and height in pixels')
    spacing_mm: list[float] | None = Field(None, description='between pixels, down and across')
    notes: list[str] | None = Field(None, description='what a reader should know')
    findings: dict[str, Finding] | None = None
    error: str | None = None


class Drawing(Strict):
    """What the page draws; PNG of 8-bit gray in Base64."""

    width: int = Field(description='of the image here, which may be smaller than the file')
    height: int
    image: str
    heats: dict[str, str] = Field(
        description='finding → map over the whole image; 0: beyond what the network saw, 1 … 255: '
        'least … greatest'
    )


class Answer(Strict):
    """Of /predict."""

    notice: str
    stamp: dict[str, str] = Field(description='which model, calibration and thresholds')
    predictions: list[Prediction]
    pictures: list[Drawing | None] | None = Field(None, description='null: a file with an error')


class Error(Strict):
    """Of a request that is refused."""

    detail: str = Field(description='what is wrong with it')


class Model(Strict):
    """Of /model."""

    notice: str
    stamp: dict[str, str]
    classes: list[str]
    heatmaps: str = Field(description='which findings have one, and how it is made')
    limits: dict[str, float] = Field(description='megabytes, files and seconds of a request')


class State(Strict):
    """Of /health and /ready."""

    status: str
