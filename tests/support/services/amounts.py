"""Inputs that are read by aliases, validators and parameters of a type, for several services."""

from typing import Annotated, Generic, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, RootModel, computed_field


class Amount(BaseModel):
    """A model whose fields cannot be read from what `model_dump` makes of them."""

    model_config = ConfigDict(extra="forbid")

    cents: Annotated[float, AfterValidator(lambda value: value / 100)] = Field(alias="Cents")
    hidden: int = Field(exclude=True)

    @computed_field
    def twice(self) -> float:
        return self.cents * 2


class AmountOfV2(Amount):
    """A class of the candidate's own, with the same fields."""


Item_ = TypeVar("Item_")


class Page(BaseModel, Generic[Item_]):
    items: list[Item_]


class Tags(RootModel[dict[str, int]]): ...


Louder = Annotated[str, AfterValidator(lambda text: f"{text}!")]
