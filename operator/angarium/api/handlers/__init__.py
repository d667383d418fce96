"""What each route does: read the call, ask the service or the store, show the answer. One module per resource."""

from angarium.api.context import Context
from angarium.api.handlers.batch import BatchHandlers
from angarium.api.handlers.dead_letters import DeadLetterHandlers
from angarium.api.handlers.flow_control import FlowControlHandlers
from angarium.api.handlers.history import HistoryHandlers
from angarium.api.handlers.keys import KeyHandlers
from angarium.api.handlers.messages import MessageHandlers
from angarium.api.handlers.openapi import OpenApiHandlers
from angarium.api.handlers.publishing import PublishingHandlers
from angarium.api.handlers.queues import QueueHandlers
from angarium.api.handlers.schedules import ScheduleHandlers
from angarium.api.handlers.topics import TopicHandlers
from angarium.api.routes import Route


def route_table(context: Context) -> tuple[Route, ...]:
    """Every route of this version (contract 7), the busiest first."""
    return (
        *PublishingHandlers(context).routes(),
        *BatchHandlers(context).routes(),
        *MessageHandlers(context).routes(),
        *HistoryHandlers(context).routes(),
        *DeadLetterHandlers(context).routes(),
        *QueueHandlers(context).routes(),
        *ScheduleHandlers(context).routes(),
        *TopicHandlers(context).routes(),
        *FlowControlHandlers(context).routes(),
        *KeyHandlers(context).routes(),
        *OpenApiHandlers().routes(),
    )
