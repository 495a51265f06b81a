from .maml import adapt, maml_loss, maml_loss_task_by_task
